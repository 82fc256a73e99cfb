/**
 * The values of a stored tensor as a tensor: mapped into memory where the file has them as the kernels do, put in order by a
 * kernel where only the axes are swapped, and read otherwise (gaps between elements, odd addresses, wide integers).
 */
import { open } from 'node:fs/promises';
import { setImmediate } from 'node:timers/promises';
import { ArgumentError, DtypeError } from '../errors';
import type { Device, Dtype, TypedArray } from '../native';
import { cast } from '../ops/cast';
import { permute } from '../ops/permute';
import { toDevice } from '../ops/to_device';
import { mapFile, upload } from '../tensor/create';
import { onDevice } from '../tensor/device';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { refuse } from './refuse';
import { itemBytes, type StoredDtype, type StoredTensor } from './stored';

/** Elements that are worked on between two pauses that let the event loop run. */
const SLICE = 128 * 1024;
/** Of one read. Node's largest is 2 GiB. */
const READ_BYTES = 64 * 1024 * 1024;

type Wide = Float64Array | BigInt64Array | BigUint64Array | Int16Array | Int8Array | Uint32Array | Uint16Array;

/** What a stored dtype is read as. Integers that do not fit are an error, not cut. */
const readAs: Readonly<Record<StoredDtype, Dtype | undefined>> = {
  f32: 'f32',
  bf16: 'bf16',
  f16: 'f16',
  i32: 'i32',
  u8: 'u8',
  bool: 'u8',
  f64: 'f32',
  i64: 'i32',
  i16: 'i32',
  i8: 'i32',
  u64: 'i32',
  u32: 'i32',
  u16: 'i32',
  f8_e4m3: undefined,
  f8_e5m2: undefined,
  f8_e8m0: undefined,
  c64: undefined,
};

/** The dtype that {@link readTensor} gives where none is asked for; none when it cannot be read. */
export const readDtype = (dtype: StoredDtype): Dtype | undefined => readAs[dtype];

/**
 * @param dtype - of the result; default {@link readDtype} of the stored one.
 * @param device - where it is wanted; it is read and cast on the CPU, and then goes over.
 * @throws DtypeError for 8-bit floats and complex numbers; ArgumentError for integers past 32 bits.
 */
export async function readTensor(stored: StoredTensor, dtype?: Dtype, device: Device = 'cpu'): Promise<Tensor> {
  const given = readAs[stored.dtype];
  if (given === undefined) throw new DtypeError(`${stored.file}: ${stored.name} is ${stored.dtype}, expected ${readable}`);
  const make = async () => {
    const tensor = map(stored, given) ?? (await read(stored, given));
    const wanted = dtype === undefined || dtype === tensor.dtype ? tensor : cast(tensor, dtype);
    return device === 'cpu' ? wanted : toDevice(wanted, device);
  };
  return onDevice('cpu', () => tidy(make));
}

const readable = Object.entries(readAs)
  .filter(([, dtype]) => dtype !== undefined)
  .map(([stored]) => stored)
  .join(', ');

function map({ file, offset, shape, dtype, strides }: StoredTensor, given: Dtype): Tensor | undefined {
  const asTheyAre = given === dtype || dtype === 'bool';
  if (!asTheyAre || offset % itemBytes[dtype] !== 0) return undefined;
  if (!strides) return mapFile(file, offset, shape, given);
  const axes = rowsFirst(shape, strides);
  if (!axes) return undefined;
  const inverse = shape.map((_, axis) => axes.indexOf(axis));
  return permute(
    mapFile(
      file,
      offset,
      axes.map((axis) => shape[axis] as number),
      given,
    ),
    inverse,
  );
}

/** The order of the axes in which the elements are in rows without gaps, if there is one. */
function rowsFirst(shape: readonly number[], strides: readonly number[]): number[] | undefined {
  const axes = shape.map((_, axis) => axis).sort((a, b) => (strides[b] as number) - (strides[a] as number) || a - b);
  let step = 1;
  for (const axis of [...axes].reverse()) {
    if (shape[axis] !== 1 && strides[axis] !== step) return undefined;
    step *= shape[axis] as number;
  }
  return axes;
}

async function read(stored: StoredTensor, given: Dtype): Promise<Tensor> {
  const { shape, strides, dtype } = stored;
  const item = itemBytes[dtype];
  const spanned = strides ? item * shape.reduce((last, size, axis) => last + (size - 1) * (strides[axis] as number), 1) : stored.bytes;
  const bytes = await readBytes(stored, stored.bytes === 0 ? 0 : spanned);
  const dense = strides ? await gather(bytes, item, shape, strides) : bytes;
  return upload(await narrow(dense, stored), shape, given);
}

async function readBytes({ file, offset, name }: StoredTensor, count: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(count);
  const handle = await open(file);
  try {
    for (let at = 0; at < count; ) {
      const { bytesRead } = await handle.read(bytes, at, Math.min(READ_BYTES, count - at), offset + at);
      if (bytesRead === 0) refuse(file, `ends inside of ${name}`);
      at += bytesRead;
    }
  } finally {
    await handle.close();
  }
  return bytes;
}

/** The elements of a view in rows. */
async function gather(
  bytes: Uint8Array,
  item: number,
  shape: readonly number[],
  strides: readonly number[],
): Promise<Uint8Array<ArrayBuffer>> {
  const count = shape.reduce((product, size) => product * size, 1);
  const rows = new Uint8Array(count * item);
  const position = shape.map(() => 0);
  let from = 0;
  for (let i = 0; i < count; i++) {
    if (i % SLICE === SLICE - 1) await setImmediate();
    for (let byte = 0; byte < item; byte++) rows[i * item + byte] = bytes[from + byte] as number;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      const [size, step] = [shape[axis] as number, (strides[axis] as number) * item];
      position[axis] = (position[axis] as number) + 1;
      from += step;
      if ((position[axis] as number) < size) break;
      from -= step * size;
      position[axis] = 0;
    }
  }
  return rows;
}

/** Bytes of a stored dtype as numbers of the dtype it is read as. */
async function narrow({ buffer }: Uint8Array<ArrayBuffer>, stored: StoredTensor): Promise<TypedArray> {
  switch (stored.dtype) {
    case 'f32':
      return new Float32Array(buffer);
    case 'bf16':
    case 'f16':
      return new Uint16Array(buffer);
    case 'i32':
      return new Int32Array(buffer);
    case 'f64':
      return convert(new Float64Array(buffer), new Float32Array(buffer.byteLength / 8), () => {});
    case 'i64':
    case 'u64':
    case 'u32':
    case 'i16':
    case 'i8':
    case 'u16': {
      const wide = wideArray(stored.dtype, buffer);
      return convert(wide, new Int32Array(wide.length), (value) => {
        if (value < -(2 ** 31) || value >= 2 ** 31) {
          throw new ArgumentError(`${stored.file}: ${stored.name} has ${value}, expected integers of at most 32 bits`);
        }
      });
    }
    default:
      return new Uint8Array(buffer);
  }
}

function wideArray(dtype: 'i64' | 'u64' | 'u32' | 'i16' | 'i8' | 'u16', buffer: ArrayBuffer): Wide {
  const classes = { i64: BigInt64Array, u64: BigUint64Array, u32: Uint32Array, i16: Int16Array, i8: Int8Array, u16: Uint16Array };
  return new classes[dtype](buffer);
}

async function convert<To extends Float32Array | Int32Array>(from: Wide, to: To, check: (value: number | bigint) => void): Promise<To> {
  for (let i = 0; i < from.length; i++) {
    if (i % SLICE === SLICE - 1) await setImmediate();
    const value = from[i] as number | bigint;
    check(value);
    to[i] = Number(value);
  }
  return to;
}
