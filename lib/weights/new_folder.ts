/** A folder that is there whole or not at all: written under another name beside it, renamed when it is complete. */
import { existsSync } from 'node:fs';
import { access, constants, mkdir, readdir, rename, rm, stat, statfs } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { ArgumentError } from '../errors';

/** Looked at before the work that is written there. @throws ArgumentError unless the folder is there, or can be made, and may be written into. */
export async function expectWritable(folder: string, within = resolve(folder)): Promise<void> {
  const refuse = (why: string, cause?: unknown): never => {
    throw new ArgumentError(`${folder} cannot be written: ${why}`, { cause });
  };
  let nearest = within;
  while (!existsSync(nearest)) nearest = dirname(nearest);
  if (!(await stat(nearest)).isDirectory()) refuse(`${nearest} is no folder`);
  await access(nearest, constants.W_OK | constants.X_OK).catch((cause: Error) => refuse(cause.message, cause));
}

/** As {@link expectWritable}, of a folder with nothing in it. */
export async function expectNewFolder(folder: string): Promise<void> {
  const present = await readdir(folder).catch((cause: Error) => {
    if (!existsSync(folder)) return [];
    throw new ArgumentError(`${folder} is no folder, expected a new or an empty one`, { cause });
  });
  if (present.length > 0) throw new ArgumentError(`${folder} is not empty, expected a new or an empty folder`);
  await expectWritable(folder, dirname(resolve(folder))); // where it is written before it is renamed
}

/**
 * @param needed - bytes that will be written; more than the disk has free is refused before anything is.
 * @param write - fills the folder whose path it is given. When it throws, nothing is left.
 * @throws ArgumentError when `destination` holds something or cannot be written, or the disk is too full.
 */
export async function writeNewFolder<Result>(
  destination: string,
  needed: number,
  write: (folder: string) => Promise<Result>,
): Promise<Result> {
  const path = resolve(destination);
  const parent = dirname(path);
  await expectNewFolder(destination);
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
