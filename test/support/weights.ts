/** Files of weights that tests write, and a module that has the keys of any checkpoint. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { nn, type Tensor } from '../../lib';

/** A folder that is removed when the block ends: `using folder = temporaryFolder()`. */
export function temporaryFolder(): Disposable & { readonly path: string; file(name: string, bytes?: string | Uint8Array): string } {
  const path = mkdtempSync(join(tmpdir(), 'mglmm-weights-'));
  return {
    path,
    file(name, bytes) {
      const file = join(path, name);
      if (bytes !== undefined) writeFileSync(file, bytes);
      return file;
    },
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

export interface WrittenTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** The bytes of a safetensors file; `header` changes what it says before it is written. */
export function safetensorsOf(
  tensors: Readonly<Record<string, WrittenTensor>>,
  header: (entries: Record<string, unknown>) => unknown = (entries) => entries,
): Buffer {
  let at = 0;
  const entries: Record<string, unknown> = Object.fromEntries(
    Object.entries(tensors).map(([name, { dtype, shape, bytes }]) => {
      at += bytes.length;
      return [name, { dtype, shape, data_offsets: [at - bytes.length, at] }];
    }),
  );
  const json = JSON.stringify(header(entries));
  const text = Buffer.from(json.padEnd(json.length + ((8 - (Buffer.byteLength(json) % 8)) % 8)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text, ...Object.values(tensors).map(({ bytes }) => bytes)]);
}

export const floats = (shape: readonly number[], values: readonly number[]): WrittenTensor => ({
  dtype: 'F32',
  shape,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});

/** A module with a parameter for each of `shapes`, by key. */
export class AnyModule extends nn.Module {
  protected override readonly keys: Readonly<Record<string, string>>;

  constructor(shapes: ReadonlyMap<string, readonly number[]>) {
    super();
    const fields = Array.from(shapes, ([key, shape], i) => ({ field: `parameter${i}`, key, shape }));
    this.keys = Object.fromEntries(fields.map(({ field, key }) => [field, key]));
    for (const { field, shape } of fields) Object.assign(this, { [field]: nn.parameter(shape) });
  }

  get(key: string): Tensor {
    return this.stateDict().get(key) as Tensor;
  }
}
