/**
 * Files of the safetensors format: eight bytes of header length, a JSON header of name -> dtype, shape and byte range, the
 * values. Every rule of the format is checked before a tensor is offered, so that what is mapped later lies in the file.
 * https://github.com/huggingface/safetensors
 */
import { type FileHandle, open } from 'node:fs/promises';
import { refuse } from './refuse';
import { countOf, itemBytes, type StoredDtype, type StoredTensor } from './stored';

/** As the reference implementation: a longer header is damage, not a header. */
const MAX_HEADER_BYTES = 100_000_000;

const dtypes: Readonly<Record<string, StoredDtype>> = {
  BOOL: 'bool',
  U8: 'u8',
  I8: 'i8',
  F8_E5M2: 'f8_e5m2',
  F8_E4M3: 'f8_e4m3',
  F8_E8M0: 'f8_e8m0',
  I16: 'i16',
  U16: 'u16',
  F16: 'f16',
  BF16: 'bf16',
  I32: 'i32',
  U32: 'u32',
  F32: 'f32',
  I64: 'i64',
  U64: 'u64',
  F64: 'f64',
  C64: 'c64',
};

/** The format's name of a dtype. */
export const safetensorsDtype = (dtype: StoredDtype): string => dtype.toUpperCase();

export interface SafetensorsFile {
  readonly tensors: readonly StoredTensor[];
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The tensors of a safetensors file, in the order of their values. Reads the header only.
 * @throws CheckpointFormatError, naming the file and what of it breaks the format.
 */
export async function readSafetensors(path: string): Promise<SafetensorsFile> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const text = await readHeader(file, path, size);
    return parse(text, path, size - 8 - Buffer.byteLength(text));
  } finally {
    await file.close();
  }
}

async function readHeader(file: FileHandle, path: string, size: number): Promise<string> {
  const prefix = Buffer.alloc(8);
  if (size < 8) refuse(path, `has ${size} bytes, expected at least the 8 of the header length`);
  await file.read(prefix, 0, 8, 0);
  const length = prefix.readBigUInt64LE();
  if (prefix.toString('latin1', 0, 4) === 'PK\x03\x04') refuse(path, 'is a zip archive; if PyTorch wrote it, name it .bin or .pth');
  if (length > MAX_HEADER_BYTES) refuse(path, `says its header has ${length} bytes, expected at most ${MAX_HEADER_BYTES}`);
  if (length > size - 8) refuse(path, `says its header has ${length} bytes, but only ${size - 8} follow; the file may be cut off`);
  const header = Buffer.alloc(Number(length));
  await file.read(header, 0, header.length, 8);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(header);
  } catch (error) {
    return refuse(path, 'has a header that is not UTF-8', error);
  }
}

function parse(text: string, path: string, dataBytes: number): SafetensorsFile {
  const header = parseObject(text, path);
  const start = 8 + Buffer.byteLength(text);
  const tensors: StoredTensor[] = [];
  let metadata: Record<string, string> = {};
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') metadata = checkMetadata(entry, path);
    else tensors.push(checkEntry(name, entry, path, start));
  }
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = start;
  for (const { name, offset, bytes } of tensors) {
    if (offset !== end) {
      const kind = offset < end ? 'overlaps what is before it' : 'leaves a hole before it';
      refuse(path, `${name} begins at byte ${offset - start} of the data, which ${kind}; expected ${end - start}`);
    }
    end = offset + bytes;
  }
  if (end - start !== dataBytes) {
    const last = tensors.at(-1);
    const why = end - start > dataBytes ? `${last?.name} ends after it; the file may be cut off` : 'bytes follow that belong to no tensor';
    refuse(path, `has ${dataBytes} bytes of data, expected ${end - start}: ${why}`);
  }
  return { tensors, metadata };
}

function parseObject(text: string, path: string): Record<string, unknown> {
  let header: unknown;
  try {
    header = JSON.parse(text);
  } catch (error) {
    refuse(path, `has a header that is not JSON: ${(error as Error).message}`, error);
  }
  if (typeof header !== 'object' || header === null || Array.isArray(header)) refuse(path, 'has a header that is no JSON object');
  const names = new Set<string>();
  // String by string, so that no match begins inside of one; an entry is a string followed by an object.
  for (const [, name] of text.matchAll(/("(?:[^"\\]|\\.)*")\s*:\s*\{|"(?:[^"\\]|\\.)*"/g)) {
    if (name === undefined) continue;
    if (names.has(name)) refuse(path, `has ${JSON.parse(name)} twice`);
    names.add(name);
  }
  return header as Record<string, unknown>;
}

function checkMetadata(entry: unknown, path: string): Record<string, string> {
  const valid = typeof entry === 'object' && entry !== null && Object.values(entry).every((value) => typeof value === 'string');
  if (!valid) refuse(path, '__metadata__ is not a map of strings');
  return entry as Record<string, string>;
}

function checkEntry(name: string, entry: unknown, path: string, start: number): StoredTensor {
  const said = JSON.stringify(entry)?.slice(0, 200);
  if (typeof entry !== 'object' || entry === null) refuse(path, `${name} is ${said}, expected dtype, shape and data_offsets`);
  const { dtype: dtypeName, shape, data_offsets: range } = entry as Record<string, unknown>;
  const dtype = typeof dtypeName === 'string' && Object.hasOwn(dtypes, dtypeName) ? dtypes[dtypeName] : undefined;
  if (dtype === undefined) {
    refuse(path, `${name} has dtype ${JSON.stringify(dtypeName)}, expected one of ${Object.keys(dtypes).join(', ')}`);
  }
  if (!Array.isArray(shape)) refuse(path, `${name} has shape ${JSON.stringify(shape)}, expected an array of whole numbers`);
  const bytes = countOf(shape) * itemBytes[dtype];
  if (!Number.isSafeInteger(bytes))
    refuse(path, `${name} has shape ${JSON.stringify(shape)}, expected whole numbers, in all 2^53 bytes at most`);
  const valid = Array.isArray(range) && range.length === 2 && range.every((at) => Number.isSafeInteger(at) && at >= 0);
  if (!valid) refuse(path, `${name} has data_offsets ${JSON.stringify(range)}, expected [begin, end] in bytes`);
  const [begin, end] = range as [number, number];
  if (end - begin !== bytes) {
    refuse(path, `${name} has bytes ${begin} to ${end}, expected ${bytes} of them for ${dtypeName} [${shape.join(', ')}]`);
  }
  return { name, shape: shape as number[], dtype, file: path, offset: start + begin, bytes };
}
