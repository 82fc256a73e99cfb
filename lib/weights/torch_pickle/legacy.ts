/**
 * The form of `torch.save` before PyTorch 1.6: pickles of a magic number, the protocol, the writing machine, the object and
 * the keys of its storages; then for each key the number of elements, 8 bytes, and the elements.
 */
import type { FileHandle } from 'node:fs/promises';
import { refuse } from '../refuse';
import { itemBytes } from '../stored';
import { itemsOf } from './globals';
import { UnexpectedEnd, unpickle } from './unpickle';
import { Dict, Storage, Tuple, type Value, View } from './values';

const MAGIC = 0x1950a86a20f9469cfc6cn;
const PROTOCOL = 1001;
/** What is read of the file at first, and what is given up at. */
const FIRST_BYTES = 1024 * 1024;
const MAX_BYTES = 256 * 1024 * 1024;

export interface LegacyFile {
  readonly value: Value;
  /** The place of a storage in the file, in bytes. */
  readonly offsetOf: (storage: Storage) => Promise<number>;
}

export async function readLegacy(file: FileHandle, path: string): Promise<LegacyFile> {
  const { size } = await file.stat();
  const { value, keys, end } = await readPickles(file, path, size);
  const dtypes = new Map(Array.from(storagesIn(value), ({ key, dtype }) => [key, dtype]));
  const places = new Map<string, { offset: number; count: number }>();
  let at = end;
  const prefix = Buffer.alloc(8);
  for (const key of keys) {
    const dtype = dtypes.get(String(key));
    if (dtype === undefined) refuse(path, `has a storage ${String(key)} that no tensor is of`);
    const { bytesRead } = await file.read(prefix, 0, 8, at);
    const count = bytesRead === 8 ? Number(prefix.readBigInt64LE()) : Number.NaN;
    const after = at + 8 + count * itemBytes[dtype];
    if (!(count >= 0 && after <= size)) refuse(path, `ends inside of storage ${String(key)}; the file may be cut off`);
    places.set(String(key), { offset: at + 8, count });
    at = after;
  }
  const offsetOf = async ({ key, begin, count }: Storage): Promise<number> => {
    const place = places.get(key);
    if (place === undefined) return refuse(path, `has no storage ${key}, which its pickle refers to`);
    if (begin + count > place.count) refuse(path, `has ${place.count} elements in storage ${key}, expected ${begin + count}`);
    return place.offset;
  };
  return { value, offsetOf };
}

async function readPickles(file: FileHandle, path: string, size: number): Promise<{ value: Value; keys: readonly Value[]; end: number }> {
  for (let bytes = Math.min(size, FIRST_BYTES); ; bytes = Math.min(size, 4 * bytes)) {
    const buffer = Buffer.alloc(bytes);
    await file.read(buffer, 0, bytes, 0);
    try {
      const magic = await unpickle(buffer);
      if (magic.value !== MAGIC) refuse(path, 'is a pickle, but none that torch.save wrote');
      const protocol = await unpickle(buffer, magic.end);
      if (protocol.value !== PROTOCOL) refuse(path, `is of torch.save protocol ${String(protocol.value)}, expected ${PROTOCOL}`);
      const machine = await unpickle(buffer, protocol.end);
      const littleEndian = machine.value instanceof Dict ? machine.value.get('little_endian') : undefined;
      if (littleEndian !== true) refuse(path, 'was written on a big-endian machine');
      const { value, end } = await unpickle(buffer, machine.end);
      const keys = await unpickle(buffer, end);
      return { value, keys: itemsOf(keys.value, 'the keys of its storages'), end: keys.end };
    } catch (error) {
      if (!(error instanceof UnexpectedEnd) || bytes === size || bytes >= MAX_BYTES) throw error;
    }
  }
}

/** Every storage that the value, or what is inside of it, is made of. */
function* storagesIn(value: Value): Generator<Storage> {
  const seen = new Set<Value>();
  const open: Value[] = [value];
  for (let one = open.pop(); one !== undefined; one = open.pop()) {
    if (one instanceof View) yield one.storage;
    else if (one instanceof Storage) yield one;
    else if (!seen.has(one)) for (const inner of insideOf(one)) open.push(inner);
    seen.add(one);
  }
}

function insideOf(value: Value): Iterable<Value> {
  if (value instanceof Tuple) return value.items;
  return value instanceof Dict ? value.values() : Array.isArray(value) ? value : [];
}
