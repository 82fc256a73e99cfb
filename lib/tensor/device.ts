/** Devices by name. Native code counts them: 0 is the CPU, from 1 on GPUs. */
import { ArgumentError } from '../errors';
import { type Device, guarded, native } from '../native';

/** @throws ArgumentError for what is no device's name. */
export function deviceNumber(name: Device): number {
  if (name === 'cpu') return 0;
  const match = /^cuda(?::(\d{1,2}))?$/.exec(name);
  if (!match) throw new ArgumentError(`device is ${JSON.stringify(name)}, expected "cpu", "cuda" or "cuda:" and a number`);
  return 1 + Number(match[1] ?? 0);
}

export const deviceName = (number: number): Device => (number === 0 ? 'cpu' : `cuda:${number - 1}`);

let current = 0;

/** The number of the device where tensors are made that follow no other tensor. @internal */
export const defaultDevice = (): number => current;

/**
 * From here on, in this thread, tensors that follow no other tensor (`tensor`, `zeros`, `randomNormal` ...) are made on `device`.
 * An op runs where its tensors are.
 * @throws ArgumentError; DeviceError for a device that cannot be used, saying why.
 */
export function setDefaultDevice(device: Device): void {
  const number = deviceNumber(device);
  guarded(() => native.backendName(number));
  current = number;
}

/** The devices that can be used: `cpu`, then GPUs. The first call may take as long as their driver needs to start. */
export const devices = (): Device[] => Array.from({ length: native.devices().count }, (_, number) => deviceName(number));

/** Why there is no GPU to use; undefined where there is one. */
export const cudaProblem = (): string | undefined => native.devices().cudaProblem;
