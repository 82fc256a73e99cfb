/** What a pickle of weights may be made of. Python's lists are arrays, its dicts maps, its None null. */
import type { StoredDtype } from '../stored';

export type Value = null | boolean | number | bigint | string | Uint8Array | Value[] | Tuple | Dict | Set<Value> | Global | Storage | View;

export class Tuple {
  readonly items: readonly Value[];
  constructor(items: readonly Value[]) {
    this.items = items;
  }
}

export class Dict extends Map<Value, Value> {}

/** A name that the pickle refers to, and that is allowed: something to call with arguments, or the dtype of a storage. */
export class Global {
  readonly name: string;
  readonly call?: (args: readonly Value[]) => Value;
  readonly dtype?: StoredDtype;

  constructor(name: string, { call, dtype }: { call?: (args: readonly Value[]) => Value; dtype?: StoredDtype }) {
    this.name = name;
    this.call = call;
    this.dtype = dtype;
  }
}

/** Values in the file that tensors are views of. */
export class Storage {
  readonly key: string;
  readonly dtype: StoredDtype;
  /** Elements. */
  readonly count: number;
  /** Elements before this one's first, when it is itself a part of the storage `key`. */
  readonly begin: number;

  constructor(key: string, dtype: StoredDtype, count: number, begin: number) {
    this.key = key;
    this.dtype = dtype;
    this.count = count;
    this.begin = begin;
  }
}

/** A tensor: elements of a storage. */
export class View {
  readonly storage: Storage;
  /** Of the first element, in elements of the storage. */
  readonly offset: number;
  readonly shape: readonly number[];
  /** In elements. */
  readonly strides: readonly number[];

  constructor(storage: Storage, offset: number, shape: readonly number[], strides: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.strides = strides;
  }
}

/** A value in few words, for messages. */
export function describe(value: Value | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'None';
  if (value instanceof Global) return value.name;
  if (value instanceof Storage) return 'a storage';
  if (value instanceof View) return 'a tensor';
  if (value instanceof Dict) return 'a dict';
  if (value instanceof Tuple) return 'a tuple';
  if (value instanceof Set) return 'a set';
  if (value instanceof Uint8Array) return 'bytes';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'string') return `the string ${JSON.stringify(value.slice(0, 40))}`;
  return typeof value === 'boolean' ? String(value) : `the number ${value}`;
}
