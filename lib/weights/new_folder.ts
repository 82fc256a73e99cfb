/** A folder that is there whole or not at all: written under another name beside it, renamed when it is complete. */
import { mkdir, readdir, rename, rm, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ArgumentError } from '../errors';

/**
 * @param needed - bytes that will be written; more than the disk has free is refused before anything is.
 * @param write - fills the folder whose path it is given. When it throws, nothing is left.
 * @throws ArgumentError when `destination` holds something, or the disk is too full.
 */
export async function writeNewFolder<Result>(
  destination: string,
  needed: number,
  write: (folder: string) => Promise<Result>,
): Promise<Result> {
  const path = resolve(destination);
  const parent = dirname(path);
  const present = await readdir(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw new ArgumentError(`${destination} is no folder, expected a new or an empty one`, { cause: error });
  });
  if (present.length > 0) throw new ArgumentError(`${destination} is not empty, expected a new or an empty folder`);
  await mkdir(parent, { recursive: true });
  const { bavail, bsize } = await statfs(parent);
  if (bavail * bsize < needed) {
    const gigabytes = (bytes: number) => `${(bytes / 1e9).toFixed(1)} GB`;
    throw new ArgumentError(`${parent} has ${gigabytes(bavail * bsize)} free, expected ${gigabytes(needed)}`);
  }
  const partial = join(parent, `.${basename(path)}-partial-${process.pid}-${Date.now()}`);
  await mkdir(partial);
  try {
    const result = await write(partial);
    await rename(partial, path);
    return result;
  } catch (error) {
    await rm(partial, { recursive: true, force: true });
    throw error;
  }
}
