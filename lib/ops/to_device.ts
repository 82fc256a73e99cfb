import { GradientError } from '../errors';
import { type Device, native } from '../native';
import { ambient } from '../tensor/ambient';
import { deviceName, deviceNumber } from '../tensor/device';
import { Tensor } from '../tensor/tensor';
import { copy } from './copy';

/**
 * The values of `x` in memory of their own on a device. Enqueued, as an op is, on both devices.
 * @throws GradientError for a tensor with a gradient to pass on: none goes from device to device; ArgumentError for a packed one, or
 *   while a program is being recorded; DeviceError for a device that cannot be used.
 */
export function toDevice(x: Tensor, device: Device): Tensor {
  const number = deviceNumber(device);
  if (x.device === deviceName(number)) return copy(x);
  if (x.requiresGrad && ambient().gradients)
    throw new GradientError('to: x has a gradient to pass on, expected one without, or to be inside noGradients()');
  return Tensor.make((made) => native.transfer(made, Tensor.handleOf(x, 'to', 'x'), number));
}
