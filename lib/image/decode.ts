/**
 * Pictures to RGB pixels, through sharp (libvips) on threads of its own. 8-bit JPEG, PNG, GIF, TIFF and WebP give the bytes that
 * Pillow gives. As Pillow and OpenCV do, colour profiles of RGB pictures are left aside: the networks were trained on such
 * pixels. Chosen here: the EXIF orientation is applied, transparency lies on white, 16-bit values keep their upper byte, CMYK
 * goes through its profile, of animations the first frame is taken, of TIFF files the first page.
 */
import { readFile, stat } from 'node:fs/promises';
import type { Metadata } from 'sharp';
import { expectKnown } from '../checks';
import { AbortedError, ArgumentError, ImageError } from '../errors';
import { loadSharp } from './sharp';

/** Pixels of a picture, rows from the top, red, green, blue. */
export interface RgbImage {
  /** `[height, width, 3]`. Not to be changed while the picture is in use. */
  readonly data: Uint8Array;
  readonly width: number;
  readonly height: number;
}

/** A path, the bytes of a file, or pixels. */
export type ImageSource = string | Uint8Array | ArrayBuffer | Blob | RgbImage;

export interface DecodeOptions {
  /** More pixels than this are refused before any is decoded; default 100 million, of pixels that are given as such any number. */
  maxPixels?: number;
  /** Given up between one step and the next. */
  signal?: AbortSignal;
}

const kinds = ['jpeg', 'png', 'webp', 'gif', 'tiff', 'heif'];
const expected = 'expected JPEG, PNG, WebP, GIF, TIFF or AVIF';
const maxFileBytes = 2 ** 30;

/**
 * The pixels of a picture.
 * @throws ImageError for a file that is not there, is no picture, is damaged or too large; ArgumentError for another kind of
 *   value; AbortedError when `signal` has fired.
 */
export async function decodeImage(source: ImageSource, options: DecodeOptions = {}): Promise<RgbImage> {
  expectKnown('decodeImage', options ?? {}, ['maxPixels', 'signal']);
  const decoded = isPixels(source);
  const { maxPixels = decoded ? Number.POSITIVE_INFINITY : 1e8, signal } = options ?? {};
  if (!(maxPixels >= 1)) throw new ArgumentError(`decodeImage: maxPixels is ${String(maxPixels)}, expected a number, 1 or more`);
  if (decoded) {
    expectRgbImage(source);
    expectAtMost(maxPixels, source, 'the picture');
    return source;
  }
  expectNotAborted(signal);
  const { bytes, name } = await bytesOf(source);
  expectNotAborted(signal);
  const { format, space, depth, channels, width, height } = await headerOf(bytes, name);
  expectAtMost(maxPixels, { width, height }, name);
  if (!kinds.includes(format)) throw new ImageError(`image: ${name} is ${format}, ${expected}`);
  // libvips clips other numbers to 8 bits without a word, unless it knows the range of a colour space.
  const isKnown = depth === 'uchar' || depth === 'ushort' || (channels === 3 && ['scrgb', 'lab', 'labs'].includes(space));
  if (!isKnown) {
    throw new ImageError(
      `image: ${name} has ${channels} channels of ${depth}, expected 8 or 16 bits without a sign, or RGB of floats: convert it first`,
    );
  }
  try {
    const { data, info } = await loadSharp()(bytes, {
      failOn: 'error',
      limitInputPixels: false,
      ignoreIcc: space !== 'cmyk',
      autoOrient: true,
    })
      .flatten({ background: '#fff' })
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    expectNotAborted(signal);
    return { data: new Uint8Array(data.buffer, data.byteOffset, data.byteLength), width: info.width, height: info.height };
  } catch (cause) {
    if (cause instanceof AbortedError) throw cause;
    throw new ImageError(`image: ${name} is damaged or cut off: ${reason(cause)}`, { cause });
  }
}

/**
 * Throws unless `image` is RGB pixels of the size it says.
 * @throws ArgumentError
 */
export function expectRgbImage(image: unknown): asserts image is RgbImage {
  const { data, width, height } = (image ?? {}) as Partial<RgbImage>;
  if (!(data instanceof Uint8Array)) {
    throw new ArgumentError(`image: data is ${kindOf(data)}, expected a Uint8Array of red, green and blue, row by row`);
  }
  for (const [side, value] of Object.entries({ width, height })) {
    if (!(Number.isInteger(value) && (value as number) >= 1))
      throw new ArgumentError(`image: ${side} is ${String(value)}, expected a whole number of pixels, 1 or more`);
  }
  const bytes = (width as number) * (height as number) * 3;
  if (data.length !== bytes) throw new ArgumentError(`image: data has ${data.length} bytes, expected ${bytes}, height * width * 3`);
}

/** Whether `value` is of a kind that {@link decodeImage} takes. */
export const isImageSource = (value: unknown): value is ImageSource =>
  typeof value === 'string' || ArrayBuffer.isView(value) || isArrayBuffer(value) || isBlob(value) || isPixels(value);

const isArrayBuffer = (value: unknown): value is ArrayBuffer => Object.prototype.toString.call(value) === '[object ArrayBuffer]';
const isPixels = (source: unknown): source is RgbImage =>
  typeof source === 'object' && source !== null && !ArrayBuffer.isView(source) && 'data' in source;

function expectNotAborted(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError('decodeImage: aborted', { cause: signal.reason });
}

function expectAtMost(maxPixels: number, { width, height }: { width: number; height: number }, name: string): void {
  if (width * height <= maxPixels) return;
  throw new ImageError(
    `image: ${name} has ${width} x ${height} pixels, expected at most ${maxPixels} in all: make it smaller; maxPixels of a program allows more`,
  );
}

async function bytesOf(source: Exclude<ImageSource, RgbImage>): Promise<{ bytes: Buffer; name: string }> {
  const { bytes, name } = typeof source === 'string' ? await fileOf(source) : await memoryOf(source);
  if (bytes.length === 0) throw new ImageError(`image: ${name} is empty`);
  return { bytes, name };
}

async function fileOf(path: string): Promise<{ bytes: Buffer; name: string }> {
  const name = JSON.stringify(path);
  try {
    const file = await stat(path);
    if (file.isDirectory()) throw new ImageError(`image: ${name} is a folder, expected a file`);
    if (!file.isFile()) throw new ImageError(`image: ${name} is no regular file`);
    if (file.size > maxFileBytes) throw new ImageError(`image: ${name} has ${file.size} bytes, expected at most ${maxFileBytes}`);
    return { bytes: await readFile(path), name };
  } catch (cause) {
    if (cause instanceof ImageError) throw cause;
    const { code } = cause as NodeJS.ErrnoException;
    if (/^(https?|data|file):/i.test(path)) {
      throw new ImageError('image: the source is a URL, expected a path or the bytes of a file; fetch it first', { cause });
    }
    throw new ImageError(`image: ${name} ${code === 'ENOENT' ? 'does not exist' : `cannot be read: ${reason(cause)}`}`, { cause });
  }
}

async function memoryOf(source: unknown): Promise<{ bytes: Buffer; name: string }> {
  const raw = isBlob(source) ? await source.arrayBuffer() : source;
  const name = 'the picture';
  if (ArrayBuffer.isView(raw)) return { bytes: Buffer.from(raw.buffer as ArrayBuffer, raw.byteOffset, raw.byteLength), name };
  if (isArrayBuffer(raw)) return { bytes: Buffer.from(raw), name };
  throw new ArgumentError(
    `decodeImage: source is ${kindOf(source)}, expected a path, the bytes of a file, a Blob, or pixels {data, width, height}`,
  );
}

const isBlob = (source: unknown): source is Blob => typeof (source as Partial<Blob> | null)?.arrayBuffer === 'function';

const kindOf = (value: unknown) =>
  value === null ? 'null' : typeof value === 'object' ? (value.constructor?.name ?? 'an object') : typeof value;

async function headerOf(bytes: Buffer, name: string): Promise<Metadata> {
  try {
    return await loadSharp()(bytes, { failOn: 'error', limitInputPixels: false }).metadata();
  } catch (cause) {
    const unknown = /unsupported image format/.test(String(cause));
    throw new ImageError(
      unknown ? `image: ${name} is no picture that is read here, ${expected}` : `image: ${name} is damaged or cut off: ${reason(cause)}`,
      {
        cause,
      },
    );
  }
}

/** libvips says the same several times, each on a line. */
const reason = (cause: unknown) => [...new Set((cause as Error).message.split('\n').map((line) => line.trim()))].filter(Boolean).join('; ');
