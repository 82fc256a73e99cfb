/** Tensors from numbers, bytes and files. */
import { ArgumentError, typed } from '../errors';
import { type Device, type Dtype, guarded, native, type TypedArray } from '../native';
import { defaultDevice, deviceNumber } from './device';
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
    native.fromArray(
      made,
      array as TypedArray,
      shape ?? [(array as TypedArray).length],
      dtype ?? dtypeOf(array as TypedArray),
      defaultDevice(),
    ),
  );
}

/**
 * As {@link tensor}, of any size, copied off JavaScript's thread: do not change `data` before the promise resolves, and let its buffer
 * be, which a transfer to another thread would take away while it is read.
 * @throws ArgumentError for more than 8 MiB in a buffer that can be resized.
 */
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
 * As {@link upload}, but gives the tensor at once; ops on it run after the copy, and up to 8 MiB are copied now. For data that nobody changes, such as a decoded
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
    copied = native.enqueueUpload(made, data, shape, dtype, announce, defaultDevice());
  });
  return { tensor, copied };
}

/** A tensor whose values are whatever the first op writes; reading it before is an error. */
export function empty(shape: readonly number[], dtype: Dtype = 'f32'): Tensor {
  return Tensor.make((made) => native.empty(made, shape, dtype, defaultDevice()));
}

/** Part of a file as a tensor on the CPU, mapped into memory, not read: pages come when an op touches them. `offset` in bytes. */
export function mapFile(path: string, offset: number, shape: readonly number[], dtype: Dtype): Tensor {
  return Tensor.make((made) => native.mapFile(made, path, offset, shape, dtype));
}

/** Resolves when all that was enqueued, on every device, has run; rejects with the first error that no read has reported. */
export async function synchronize(): Promise<void> {
  try {
    await Promise.all(native.started().map((device) => guarded(() => native.synchronize(device))));
  } catch (error) {
    throw typed(error);
  }
}

/** The backend that runs the ops of a device, such as `cpu x86-64-v4`. */
export const backendName = (device: Device = 'cpu') => guarded(() => native.backendName(deviceNumber(device)));

/** Memory of this process's tensors on a device. Of a GPU zeros until it was opened. */
export const memory = (device: Device = 'cpu') => guarded(() => native.memory(deviceNumber(device)));
export const resetPeak = (device: Device = 'cpu') => guarded(() => native.resetPeak(deviceNumber(device)));
/** Gives freed, cached memory back to the system. */
export const trimMemory = (device: Device = 'cpu') => guarded(() => native.trimMemory(deviceNumber(device)));
/** `bytes` that tensors may hold on a device; default nine tenths of the machine's memory, or all of a GPU's. @throws ArgumentError. */
export function setMemoryLimit(bytes: number, device: Device = 'cpu'): void {
  if (!(Number.isFinite(bytes) && bytes >= 0))
    throw new ArgumentError(`setMemoryLimit: bytes is ${String(bytes)}, expected a finite number, 0 or more`);
  guarded(() => native.setMemoryLimit(bytes, deviceNumber(device)));
}
