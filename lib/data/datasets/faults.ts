/** What readers of other formats say of what they cannot read. */
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { AbortedError, ArgumentError, DataError, SampleError, type SampleFault, type SampleProblem } from '../../errors';

/** Parses what a file holds. @throws DataError for a file that is not there or is no JSON. */
export async function readJson(file: string): Promise<unknown> {
  const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
    throw new DataError(`${file}: ${cause.code === 'ENOENT' ? 'does not exist' : `cannot be read: ${cause.message}`}`, { cause });
  });
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new DataError(`${file}: is no JSON: ${(cause as Error).message}`, { cause });
  }
}

/** The faults of a record, put together before they are thrown, so that all of them are told at once. */
export class Faults {
  readonly #faults: SampleFault[] = [];

  add(problem: SampleProblem, field: string, reason: string): void {
    this.#faults.push({ problem, field, reason });
  }

  addIssues(error: z.ZodError): void {
    for (const { path, message } of error.issues) this.add('record', path.join('.'), message);
  }

  /** @throws SampleError when there is one. @param line - the record of the file, from 1. */
  throwIfAny(file: string, line: number): void {
    const [first, ...others] = this.#faults;
    if (first) throw new SampleError(file, line, [first, ...others]);
  }
}

export function expectIndex(name: string, index: number, length: number): void {
  if (!(Number.isInteger(index) && index >= 0 && index < length))
    throw new ArgumentError(`${name}: sample ${String(index)} was asked for, expected 0 to ${length - 1}`);
}

export function expectNotAborted(name: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError(`${name}: aborted`, { cause: signal.reason });
}
