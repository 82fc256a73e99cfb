/** Tensors from numbers, bytes and files. */
import { typed } from '../errors';
import { type Dtype, guarded, native, type TypedArray } from '../native';
import { Tensor } from './tensor';

function dtypeOf(data: TypedArray): Dtype {
  if (data instanceof Int32Array) return 'i32';
  return data instanceof Uint8Array || data instanceof Uint8ClampedArray ? 'u8' : 'f32';
}

/**
 * A tensor with a copy of `data`, at once. At most 8 MiB (about 0.8 ms); larger data goes through {@link upload}.
 * @param dtype - default from the array: Float32Array f32, Int32Array i32, Uint8Array u8. A Uint16Array holds the bits
 *   of bf16 or f16, which must be named.
 */
export function tensor(data: TypedArray | readonly number[], shape?: readonly number[], dtype?: Dtype): Tensor {
  const array = Array.isArray(data) ? (dtype === 'i32' ? Int32Array : dtype === 'u8' ? Uint8Array : Float32Array).from(data) : data;
  return Tensor.make((made) =>
    native.fromArray(made, array as TypedArray, shape ?? [(array as TypedArray).length], dtype ?? dtypeOf(array as TypedArray)),
  );
}

/** As {@link tensor}, of any size, copied off JavaScript's thread: do not change `data` before the promise resolves. */
export async function upload(data: TypedArray, shape: readonly number[], dtype: Dtype = dtypeOf(data)): Promise<Tensor> {
  const { tensor, copied } = copyLater(data, shape, dtype, true);
  try {
    await copied;
    return tensor;
  } catch (error) {
    tensor.dispose();
    throw typed(error);
  }
}

/**
 * As {@link upload}, but gives the tensor at once; ops on it run after the copy. For data that nobody changes, such as a decoded
 * picture, and a tensor that is disposed soon: the garbage collector is not told of its bytes. A copy that fails (for want of
 * memory) is told by whoever reads what was computed from it.
 */
export function enqueueUpload(data: TypedArray, shape: readonly number[], dtype: Dtype = dtypeOf(data)): Tensor {
  const { tensor, copied } = copyLater(data, shape, dtype, false);
  copied.catch(() => undefined);
  return tensor;
}

function copyLater(data: TypedArray, shape: readonly number[], dtype: Dtype, announce: boolean) {
  let copied: Promise<unknown> = Promise.resolve();
  const tensor = Tensor.make((made) => {
    copied = native.enqueueUpload(made, data, shape, dtype, announce);
  });
  return { tensor, copied };
}

/** A tensor whose values are whatever the first op writes; reading it before is an error. */
export function empty(shape: readonly number[], dtype: Dtype = 'f32'): Tensor {
  return Tensor.make((made) => native.empty(made, shape, dtype));
}

/** Part of a file as a tensor, mapped into memory, not read: pages come when an op touches them. `offset` in bytes. */
export function mapFile(path: string, offset: number, shape: readonly number[], dtype: Dtype): Tensor {
  return Tensor.make((made) => native.mapFile(made, path, offset, shape, dtype));
}

/** Resolves when all that was enqueued has run; rejects with the first error that no read has reported. */
export async function synchronize(): Promise<void> {
  try {
    await guarded(() => native.synchronize());
  } catch (error) {
    throw typed(error);
  }
}

/** The backend that runs the ops, such as `cpu x86-64-v4`. */
export const backendName = () => native.backendName();

/** Memory of this process's tensors. */
export const memory = () => native.memory();
export const resetPeak = () => native.resetPeak();
/** Gives freed, cached memory back to the system. */
export const trimMemory = () => native.trimMemory();
/** `bytes` of host memory that tensors may hold; default nine tenths of the machine's. */
export const setMemoryLimit = (bytes: number) => native.setMemoryLimit(bytes);
