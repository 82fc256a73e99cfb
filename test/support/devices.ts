/** The devices that tests run on: every one that is present. In a run with MGLMM_TEST_DEVICES, a list, those. */
import { strict as assert } from 'node:assert';
import { afterAll, afterEach, beforeAll, describe } from '@jest/globals';
import { type Device, devices as present, setDefaultDevice, synchronize } from '../../lib';

/** One GPU stands for all: `cpu`, and `cuda:0` where there is one. */
export const devices: readonly Device[] = (process.env.MGLMM_TEST_DEVICES?.split(',') ?? present().slice(0, 2)).map((device) => {
  assert.ok(present().includes(device as Device), `device ${device} is not present, only ${present().join(', ')}`);
  return device as Device;
});

/** A `describe` for each device present; an error of the stream that no read has told fails the test that caused it. */
export function onEveryDevice(name: string, body: (device: Device) => void): void {
  for (const device of devices) {
    describe(`${name} on ${device}`, () => {
      beforeAll(() => setDefaultDevice(device));
      setDefaultDevice(device); // for what `body` makes on its way
      afterAll(() => setDefaultDevice('cpu'));
      afterEach(() => synchronize());
      body(device);
      setDefaultDevice('cpu');
    });
  }
}
