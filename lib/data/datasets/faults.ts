/** What readers of other formats say of what they cannot read. */
import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { AbortedError, DataError, SampleError, type SampleFault, type SampleProblem } from '../../errors';

/** Parses what a file holds. @throws DataError for a file that is not there, is no UTF-8 or no JSON. */
export async function readJson(file: string): Promise<unknown> {
  const bytes = await readFile(file).catch((cause: NodeJS.ErrnoException) => {
    throw new DataError(`${file}: ${cause.code === 'ENOENT' ? 'does not exist' : `cannot be read: ${cause.message}`}`, { cause });
  });
  try {
    // A mark of the order of bytes is left out.
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch (cause) {
    throw new DataError(`${file}: ${cause instanceof SyntaxError ? `is no JSON: ${cause.message}` : 'is no UTF-8'}`, { cause });
  }
}

/** The faults of a record, put together before they are thrown, so that all of them are told at once. */
export class Faults {
  readonly #faults: SampleFault[] = [];

  add(problem: SampleProblem, field: string, reason: string): void {
    this.#faults.push({ problem, field, reason });
  }

  addAll(...faults: readonly SampleFault[]): void {
    this.#faults.push(...faults);
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

export function expectNotAborted(name: string, signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError(`${name}: aborted`, { cause: signal.reason });
}
