/**
 * The names that a pickle may refer to: what rebuilds tensors, and ordered dicts. A pickle can ask for any function of Python
 * to be called; here a name that is not in this list is an error, and those in it only build values of `values.ts`.
 */
import { countOf, type StoredDtype } from '../stored';
import { Dict, describe, Global, Storage, Tuple, type Value, View } from './values';

/** What a pickle says that makes no tensor; the reader adds the file's name. */
export class MalformedPickle extends Error {}

const storages: Readonly<Record<string, StoredDtype>> = {
  DoubleStorage: 'f64',
  FloatStorage: 'f32',
  HalfStorage: 'f16',
  BFloat16Storage: 'bf16',
  LongStorage: 'i64',
  IntStorage: 'i32',
  ShortStorage: 'i16',
  CharStorage: 'i8',
  ByteStorage: 'u8',
  BoolStorage: 'bool',
};

const allowed = new Map<string, Global>(
  [
    new Global('torch._utils._rebuild_tensor_v2', { call: rebuildTensor }),
    new Global('torch._utils._rebuild_tensor', { call: rebuildTensor }),
    new Global('torch._utils._rebuild_parameter', { call: rebuildParameter }),
    new Global('collections.OrderedDict', { call: orderedDict }),
    new Global('torch.Size', { call: ([items]) => new Tuple(itemsOf(items, 'torch.Size')) }),
    ...Object.entries(storages).map(([name, dtype]) => new Global(`torch.${name}`, { dtype })),
  ].map((global) => [global.name, global]),
);

/** The allowed global of this name, if it is one. */
export const globalOf = (name: string): Global | undefined => allowed.get(name);

/** What a pickle's persistent id stands for: `('storage', type, key, device, count)`, with a part of it in old files. */
export function storageOf(id: Value): Storage {
  const [kind, type, key, , count, part] = itemsOf(id, 'a persistent id');
  const dtype = type instanceof Global ? type.dtype : undefined;
  if (kind !== 'storage' || dtype === undefined || typeof key !== 'string') {
    throw new MalformedPickle(`refers to ${describe(kind)} of ${describe(type)}, expected a storage of a known type`);
  }
  const whole = index(count, `the size of storage ${key}`);
  if (part === undefined || part === null) return new Storage(key, dtype, whole, 0);
  const [, begin, partCount] = itemsOf(part, 'a part of a storage');
  return new Storage(key, dtype, index(partCount, `the size of a part of storage ${key}`), index(begin, `a part of storage ${key}`));
}

function rebuildTensor([storage, offset, shape, strides]: readonly Value[]): View {
  if (!(storage instanceof Storage)) throw new MalformedPickle(`has a tensor of ${describe(storage)}, expected of a storage`);
  const sizes = itemsOf(shape, 'a shape').map((size) => index(size, 'a size'));
  const steps = itemsOf(strides, 'strides').map((step) => index(step, 'a stride'));
  const begin = index(offset, 'a storage offset');
  const said = `a tensor [${sizes.join(', ')}] with strides [${steps.join(', ')}] from element ${begin}`;
  if (sizes.length !== steps.length) throw new MalformedPickle(`has ${said}, expected a stride a size`);
  const count = countOf(sizes);
  const last = sizes.reduce((at, size, axis) => at + (size - 1) * (steps[axis] as number), begin);
  if (!Number.isSafeInteger(count)) throw new MalformedPickle(`has ${said}, too many to count`);
  if (count > 0 && !(last < storage.count)) {
    throw new MalformedPickle(`has ${said} of storage ${storage.key}, which has only ${storage.count}`);
  }
  if (count > storage.count)
    throw new MalformedPickle(`has ${said}, an expanded one; expected each element once, as contiguous() makes it`);
  return new View(storage, begin, sizes, steps);
}

function rebuildParameter([data]: readonly Value[]): View {
  if (!(data instanceof View)) throw new MalformedPickle(`has a parameter of ${describe(data)}, expected of a tensor`);
  return data;
}

function orderedDict([pairs]: readonly Value[]): Dict {
  const dict = new Dict();
  if (pairs === undefined) return dict;
  for (const pair of itemsOf(pairs, 'an OrderedDict')) {
    const [key, value] = itemsOf(pair, 'an item of an OrderedDict');
    dict.set(key ?? null, value ?? null);
  }
  return dict;
}

export function itemsOf(value: Value | undefined, what: string): readonly Value[] {
  if (value instanceof Tuple) return value.items;
  if (Array.isArray(value)) return value;
  throw new MalformedPickle(`has ${describe(value)} as ${what}, expected a tuple`);
}

function index(value: Value | undefined, what: string): number {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number === 'number' && Number.isSafeInteger(number) && number >= 0) return number;
  throw new MalformedPickle(`has ${typeof number === 'number' ? number : describe(value)} as ${what}, expected a whole number, 0 or more`);
}
