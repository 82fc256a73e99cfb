import { readFile, stat } from 'node:fs/promises';
import { refuse } from './refuse';

export type JsonObject = Readonly<Record<string, unknown>>;

/** Of config files and of indexes of shards; that of a 13B model has 60 KB. */
const MAX_BYTES = 64 * 1024 * 1024;

/**
 * The object in a JSON file.
 * @returns undefined when there is no such file.
 * @throws CheckpointFormatError when it holds no JSON object.
 */
export async function readJsonObject(path: string): Promise<JsonObject | undefined> {
  const status = await stat(path).catch(() => undefined);
  if (status === undefined) return undefined;
  if (status.size > MAX_BYTES) refuse(path, `has ${status.size} bytes, expected at most ${MAX_BYTES}`);
  let value: unknown;
  try {
    value = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    refuse(path, `is not JSON: ${(error as Error).message}`, error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) refuse(path, 'is no JSON object');
  return value as JsonObject;
}
