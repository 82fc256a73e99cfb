/** Devices by name. Native code counts them: 0 is the CPU, from 1 on GPUs. */
import { ArgumentError, DeviceError } from '../errors';
import { type Device, guarded, native } from '../native';
import { ambient, withAmbient } from './ambient';

/** @throws ArgumentError for what is no device's name. */
export function deviceNumber(name: Device): number {
  if (name === 'cpu') return 0;
  const match = /^cuda(?::(\d{1,2}))?$/.exec(name);
  if (!match) throw new ArgumentError(`device is ${JSON.stringify(name)}, expected "cpu", "cuda" or "cuda:" and a number`);
  return 1 + Number(match[1] ?? 0);
}

export const deviceName = (number: number): Device => (number === 0 ? 'cpu' : `cuda:${number - 1}`);

let threadDefault = 0;

/** The number of the device where tensors are made that follow no other tensor. @internal */
export const defaultDevice = (): number => ambient().device ?? threadDefault;

/**
 * Runs `body`; tensors that follow no other tensor (`tensor`, `zeros`, `randomNormal` ...) are made on `device`, by all that it
 * calls and awaits. An op runs where its tensors are.
 * @throws ArgumentError; DeviceError for a device that cannot be used, saying why.
 */
export function onDevice<Result>(device: Device, body: () => Result): Result {
  return withAmbient({ device: usable(device) }, body);
}

/** As {@link onDevice}, for all of this thread that is not within an `onDevice`; at first it is the CPU. */
export function setDefaultDevice(device: Device): void {
  threadDefault = usable(device);
}

/**
 * How exact products of f32 are on a GPU: `highest`, as at first, or `high`: what they multiply is rounded to 10 bits of mantissa
 * (TF32), sums stay f32, and tensor cores do it where cuBLAS finds that faster. Of ops that are called from here on; a program
 * keeps what held when it first ran as one graph. Nothing changes for other dtypes, or on the CPU.
 * @throws ArgumentError; DeviceError for a device that cannot be used, saying why.
 * @see the name is that of torch.set_float32_matmul_precision
 */
export function setFloat32MatmulPrecision(precision: 'highest' | 'high', device: Device = 'cuda'): void {
  if (precision !== 'highest' && precision !== 'high')
    throw new ArgumentError(`setFloat32MatmulPrecision: precision is ${JSON.stringify(precision)}, expected "highest" or "high"`);
  guarded(() => native.setTf32(precision === 'high', deviceNumber(device)));
}

function usable(device: Device): number {
  const number = deviceNumber(device);
  guarded(() => native.backendName(number));
  return number;
}

/** The devices there are, where any GPU can be used: `cpu`, then GPUs. The first call may take as long as their driver needs to start. */
export const devices = (): Device[] => Array.from({ length: native.devices().count }, (_, number) => deviceName(number));

/** Why there is no GPU to use; undefined where there is one. */
export const cudaProblem = (): string | undefined => native.devices().cudaProblem;

/**
 * The device that is meant by a name, or by `auto`: the first GPU, where one can be used, else the CPU.
 * @throws ArgumentError; DeviceError for a device that cannot be used, saying why.
 */
export function chosenDevice(wanted: 'auto' | Device = 'auto'): Device {
  if (wanted !== 'auto') return deviceName(usable(wanted));
  for (const device of devices().slice(1)) {
    try {
      return deviceName(usable(device));
    } catch (error) {
      if (!(error instanceof DeviceError)) throw error; // that one, as an old card without code for it, may not stand alone
    }
  }
  return 'cpu';
}
