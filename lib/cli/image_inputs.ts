/** Pictures that are named on a command line: files, folders of them, or `-` for what is piped in. */
import { readdir, stat } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { onAbort } from '../abort';
import { ImageError } from '../errors';
import { decodeImage, type RgbImage } from '../image/decode';
import type { Context, Terminal } from './terminal';
import { UsageError } from './usage';

export interface ImageInput {
  /** As it is called in what is written: the path, or `-`. */
  readonly path: string;
  /** For files about it. */
  readonly name: string;
}

const extensions = ['.jpg', '.jpeg', '.png', '.webp', '.gif', '.tif', '.tiff', '.avif'];
const stdin = '-';
const maxStdinBytes = 2 ** 30;

/**
 * The pictures of `paths`, those of a folder in the order of their names.
 * @throws ImageError for what is not there, and for a folder without pictures; UsageError for `-` twice.
 */
export async function listImages(paths: readonly string[]): Promise<ImageInput[]> {
  if (paths.filter((path) => path === stdin).length > 1) throw new UsageError('- is given twice, but there is one standard input');
  const lists = await Promise.all(paths.map(async (path) => (path === stdin ? [path] : filesAt(path))));
  return lists.flat().map((path) => ({ path, name: path === stdin ? 'stdin' : basename(path, extname(path)) }));
}

/** @throws UsageError for a folder of several; else as {@link listImages}. */
export async function oneImage(path: string): Promise<ImageInput> {
  const [image, ...more] = await listImages([path]);
  if (image && more.length === 0) return image;
  throw new UsageError(`${path} is a folder of pictures, expected one picture`);
}

async function filesAt(path: string): Promise<string[]> {
  const found = await stat(path).catch(() => undefined);
  // A file that is not there is told of as any other that cannot be read.
  if (!found) await decodeImage(path);
  if (!found?.isDirectory()) return [path];
  const names = (await readdir(path)).filter((name) => !name.startsWith('.') && extensions.includes(extname(name).toLowerCase()));
  if (names.length === 0) throw new ImageError(`${path} has no pictures, expected files that end with ${extensions.join(', ')}`);
  return names.sort((a, b) => a.localeCompare(b, 'en', { numeric: true })).map((name) => join(path, name));
}

/** Its pixels. @throws ImageError, AbortedError: see {@link decodeImage}. */
export async function readImage({ path }: ImageInput, { terminal, signal }: Context): Promise<RgbImage> {
  return decodeImage(path === stdin ? await readAll(terminal.in, signal) : path, { signal });
}

async function readAll(stream: Terminal['in'], signal: AbortSignal): Promise<Uint8Array> {
  if (!stream || stream.isTTY) throw new UsageError('- reads a picture from the standard input, but nothing is piped in');
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  const forget = onAbort(signal, () => stream.destroy());
  try {
    for await (const chunk of stream as AsyncIterable<Uint8Array>) {
      chunks.push(chunk);
      bytes += chunk.length;
      if (bytes > maxStdinBytes) throw new ImageError(`the standard input has more than ${maxStdinBytes} bytes, expected one picture`);
    }
  } finally {
    forget();
  }
  return Buffer.concat(chunks);
}
