/** A writer of pickles, protocol 2, of what `torch.save` makes of a dict of tensors, and of plain values. */
import { type ZipOptions, zipOf } from './zip';

export type Picklable =
  | null
  | boolean
  | number
  | string
  | readonly Picklable[]
  | { readonly tuple: readonly Picklable[] }
  | { readonly dict: readonly (readonly [Picklable, Picklable])[] }
  | { readonly raw: Buffer };

const u32 = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
};

export const global = (module: string, name: string): Buffer => Buffer.from(`c${module}\n${name}\n`);

function encode(value: Picklable): Buffer {
  if (value === null) return Buffer.from('N');
  if (typeof value === 'boolean') return Buffer.from([value ? 0x88 : 0x89]);
  if (typeof value === 'string') {
    const text = Buffer.from(value);
    return Buffer.concat([Buffer.from('X'), u32(text.length), text]);
  }
  if (typeof value === 'number') return encodeNumber(value);
  if ('raw' in value) return value.raw;
  if ('tuple' in value) return Buffer.concat([Buffer.from('('), ...value.tuple.map(encode), Buffer.from('t')]);
  if ('dict' in value) return Buffer.concat([Buffer.from('}('), ...value.dict.flat().map(encode), Buffer.from('u')]);
  return Buffer.concat([Buffer.from(']('), ...(value as readonly Picklable[]).map(encode), Buffer.from('e')]);
}

function encodeNumber(value: number): Buffer {
  const bytes = Buffer.alloc(9);
  if (Number.isInteger(value) && Math.abs(value) < 2 ** 31) {
    bytes.write('J', 'latin1');
    bytes.writeInt32LE(value, 1);
    return bytes.subarray(0, 5);
  }
  bytes.write('G', 'latin1');
  bytes.writeDoubleBE(value, 1);
  return bytes;
}

export const pickleOf = (value: Picklable): Buffer => Buffer.concat([Buffer.from([0x80, 2]), encode(value), Buffer.from('.')]);

export interface TorchTensor {
  /** Such as `FloatStorage`. */
  readonly storage: string;
  readonly bytes: Uint8Array;
  /** Elements of the storage. */
  readonly count: number;
  readonly offset?: number;
  readonly shape: readonly number[];
  readonly strides: readonly number[];
}

function rebuild({ storage, count, offset = 0, shape, strides }: TorchTensor, key: string): Picklable {
  const id = encode({ tuple: ['storage', { raw: global('torch', storage) }, key, 'cpu', count] });
  const args = encode({
    tuple: [{ raw: Buffer.concat([id, Buffer.from('Q')]) }, offset, { tuple: shape }, { tuple: strides }, false, null],
  });
  return { raw: Buffer.concat([global('torch._utils', '_rebuild_tensor_v2'), args, Buffer.from('R')]) };
}

/** The bytes of a file of `torch.save`. */
export function torchFileOf(tensors: Readonly<Record<string, TorchTensor>>, options: ZipOptions = {}): Buffer {
  const entries = Object.entries(tensors);
  const dict: Picklable = { dict: entries.map(([name, tensor], i) => [name, rebuild(tensor, String(i))] as const) };
  const data = Object.fromEntries(entries.map(([, { bytes }], i) => [`archive/data/${i}`, bytes]));
  return zipOf({ 'archive/data.pkl': pickleOf(dict), 'archive/byteorder': 'little', ...data, 'archive/version': '3\n' }, options);
}
