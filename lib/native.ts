/** Finds and loads the addon. With lib/tensor, lib/autograd and lib/ops the only place that knows it exists. */
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ArgumentError, KernelError, typed } from './errors';
import type { Tensor } from './tensor/tensor';

export type Dtype = 'f32' | 'bf16' | 'f16' | 'i32' | 'u8';
/** `cuda` is `cuda:0`, by which name tensors tell it. */
export type Device = 'cpu' | 'cuda' | `cuda:${number}`;
export type TypedArray = Float32Array | Int32Array | Uint8Array | Uint8ClampedArray | Uint16Array;
export type ReadArray = Float32Array | Int32Array | Uint8Array | Uint16Array;

/** What an op does with a field: kernels/tensor.h. `ins` and `inouts` are arrays of tensors. */
export type FieldKind = 'in' | 'maybe' | 'ins' | 'out' | 'saved' | 'inout' | 'inouts' | 'value';
export type FieldValue = Tensor | readonly Tensor[] | number | boolean | string | readonly number[] | null | undefined;
export type Fields = Record<string, FieldValue>;
export type Outputs = Record<string, Tensor>;
declare const handleBrand: unique symbol;
/** The native side of a tensor, or an empty one that a call will fill. */
export interface Handle {
  readonly [handleBrand]: true;
}
/** Fields in the order of the contract: tensors as handles, an output that is to be made as an empty handle; then the device. */
export type NativeOp = (token: unknown, ...fieldsAndDevice: unknown[]) => void;

/** Of host memory, or of a GPU's. */
export interface MemoryFigures {
  /** Bytes held by tensors of this process. */
  liveBytes: number;
  /** Most of `liveBytes` since the last `resetPeak()`. */
  peakBytes: number;
  /** Freed and kept for reuse; `trimMemory()` gives it back. */
  cachedBytes: number;
  /** Files mapped into memory. */
  mappedBytes: number;
  /** `liveBytes` never goes above; a tensor that would is an OutOfMemoryError. */
  limitBytes: number;
}

interface Addon {
  ops: Record<string, NativeOp>;
  fields: Record<string, Record<string, FieldKind>>;
  configure(options: { level?: string; cuda?: string; threads?: number }): void;
  /** Devices go by their number: 0 is the CPU, from 1 on GPUs. */
  backendName(device: number): string;
  /** How many devices there are, and why none of them is a GPU. */
  devices(): { count: number; cudaProblem?: string };
  /** Of what a tensor holds of the native side: nothing yet. */
  newHandle(): Handle;
  /**
   * The tensors that the last call made, in numbers: ten each, dtype, device, layout, rank (-1: none was made), up to
   * six sizes. They hold until the next call.
   */
  described: Float64Array;
  fromArray(made: Handle, data: TypedArray, shape: readonly number[], dtype: Dtype, device: number): void;
  enqueueUpload(
    made: Handle,
    data: TypedArray,
    shape: readonly number[],
    dtype: Dtype,
    announce: boolean,
    device: number,
  ): Promise<unknown>;
  empty(made: Handle, shape: readonly number[], dtype: Dtype, device: number): void;
  mapFile(made: Handle, path: string, offset: number, shape: readonly number[], dtype: Dtype): void;
  alias(made: Handle, tensor: Handle, shape?: readonly number[], offset?: number): void;
  transfer(made: Handle, tensor: Handle, device: number): void;
  dispose(tensor: Handle): void;
  /** Tells the garbage collector, which is to free the tensor, of its bytes. */
  announce(tensor: Handle): void;
  read(tensor: Handle, bits?: boolean): Promise<ReadArray>;
  synchronize(device: number): Promise<void>;
  /** Numbers of the devices that something was enqueued on. */
  started(): number[];
  memory(device: number): MemoryFigures;
  resetPeak(device: number): void;
  trimMemory(device: number): void;
  setMemoryLimit(bytes: number, device: number): void;
  setTf32(allowed: boolean, device: number): void;
  pending(): number;
  makeProgram(): unknown;
  /** Ops are added to `program` from here on; without one they are enqueued again. */
  recordProgram(program?: unknown): void;
  runProgram(program: unknown, token?: unknown): void;
  disposeProgram(program: unknown): void;
  cancelToken(): unknown;
  cancel(token: unknown): void;
}

/** More would be a mistake on any machine. */
const mostThreads = 4096;

/** MGLMM_THREADS; undefined where it is not set. @throws ArgumentError */
function threadsAsked(): number | undefined {
  const { MGLMM_THREADS: asked } = process.env;
  if (!asked) return undefined;
  const count = Number(asked);
  if (Number.isInteger(count) && count >= 1 && count <= mostThreads) return count;
  throw new ArgumentError(`MGLMM_THREADS is ${JSON.stringify(asked)}, expected a whole number from 1 to ${mostThreads}`);
}

/**
 * MGLMM_CPU_LEVEL; undefined where it is not set.
 * @param folder - of the addon, which has a backend of each level beside it.
 * @throws ArgumentError
 */
function levelAsked(folder: string): string | undefined {
  const { MGLMM_CPU_LEVEL: asked } = process.env;
  const built = readdirSync(folder).flatMap((file) => /^libmglmm_cpu_(.+)\.so$/.exec(file)?.[1] ?? []);
  if (!asked || built.includes(asked)) return asked;
  throw new ArgumentError(`MGLMM_CPU_LEVEL is ${JSON.stringify(asked)}, expected one that was built: ${built.sort().join(', ')}`);
}

function load(): Addon {
  const root = join(__dirname, '..');
  try {
    const path = (require('node-gyp-build') as { path(of: string): string }).path(root);
    const addon = require(path) as Addon;
    addon.configure({ level: levelAsked(dirname(path)), cuda: process.env.MGLMM_CUDA, threads: threadsAsked() });
    return addon;
  } catch (error) {
    if (error instanceof ArgumentError) throw error;
    throw new KernelError(
      `the native addon of mglmm could not be loaded from ${root}: ${(error as Error).message}; ` +
        'with a source checkout run `npm run build`, which says what is missing',
      { cause: error },
    );
  }
}

export const native = load();

/** Whether debug mode is on from the start: lib/tensor/tensor.ts. */
export const debugFromStart = process.env.MGLMM_DEBUG === '1';

/** Runs `body`, turning what native code throws into the classes of errors.ts. */
export function guarded<Result>(body: () => Result): Result {
  try {
    return body();
  } catch (error) {
    throw typed(error);
  }
}
