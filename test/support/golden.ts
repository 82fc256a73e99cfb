import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Tensor, tensor } from '../../lib';

/** Where goldens are looked for: any folder laid out as test/golden. */
export const goldenFolder = process.env.MGLMM_GOLDEN ?? join(__dirname, '../golden');

export interface StoredTensor {
  dtype: string;
  shape: number[];
  values: Float32Array | Int32Array | Uint8Array;
}

const readers: Record<string, (buffer: ArrayBuffer) => StoredTensor['values']> = {
  F32: (buffer) => new Float32Array(buffer),
  I32: (buffer) => new Int32Array(buffer),
  I64: (buffer) => Int32Array.from(new BigInt64Array(buffer), Number),
  U8: (buffer) => new Uint8Array(buffer),
};

/** All tensors of a safetensors file with dtypes F32, I32, U8, and I64 whose values an Int32Array holds. */
export function readSafetensors(path: string): Map<string, StoredTensor> {
  const bytes = readFileSync(path);
  const headerBytes = Number(bytes.readBigUInt64LE(0));
  const header = JSON.parse(bytes.toString('utf8', 8, 8 + headerBytes)) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  const data = bytes.subarray(8 + headerBytes);
  return new Map(
    Object.entries(header)
      .filter(([name]) => name !== '__metadata__')
      .map(
        ([
          name,
          {
            dtype,
            shape,
            data_offsets: [begin, end],
          },
        ]) => {
          const buffer = data.buffer.slice(data.byteOffset + begin, data.byteOffset + end);
          const read = readers[dtype];
          if (!read) throw new Error(`${path}: ${name} is ${dtype}, expected ${Object.keys(readers).join(', ')}`);
          return [name, { dtype, shape, values: read(buffer) }];
        },
      ),
  );
}

/** The tensors named `prefix.NAME`, by NAME, which has no dot: `wd0.01.param` is of case wd0.01, not of wd0. */
export function storedOf(all: Map<string, StoredTensor>, prefix: string): Record<string, StoredTensor> {
  return Object.fromEntries(
    [...all]
      .filter(([name]) => name.slice(0, name.lastIndexOf('.')) === prefix)
      .map(([name, stored]) => [name.slice(prefix.length + 1), stored]),
  );
}

export const toTensor = ({ values, shape }: StoredTensor): Tensor => tensor(values, shape);

/** One case of a kernel's config.json. */
export interface GoldenCase {
  name: string;
  grad_wrt?: string[];
  loss_is_scalar?: boolean;
  atol: number | Record<string, number>;
  rtol: number;
  [parameter: string]: unknown;
}

/** What test/goldens/OP.ts exports: runs the case on `inputs`, gives the tensors to compare, by their expected names. */
export type Golden = (inputs: Record<string, Tensor>, parameters: GoldenCase) => Record<string, Tensor> | Promise<Record<string, Tensor>>;

export const listFolders = (folder: string): string[] =>
  readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map((entry) => entry.name)
    .sort();
