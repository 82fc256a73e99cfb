/** The devices that tests run on: every one that is present. In a run with MGLMM_TEST_DEVICES, a list, those. */
import { strict as assert } from 'node:assert';
import { afterAll, afterEach, beforeAll, describe, test } from '@jest/globals';
import { type Device, missingOps, devices as present, setDefaultDevice, synchronize } from '../../lib';
import { native } from '../../lib/native';

/** One GPU stands for all: `cpu`, and `cuda:0` where there is one. */
export const devices: readonly Device[] = (process.env.MGLMM_TEST_DEVICES?.split(',') ?? present().slice(0, 2)).map((device) => {
  assert.ok(present().includes(device as Device), `device ${device} is not present, only ${present().join(', ')}`);
  return device as Device;
});

/** What besides the op itself a test of it computes with, where that is an op of its own. */
const alsoNeeds: Record<string, readonly string[]> = {};

/**
 * A `describe` for each device present; an error of the stream that no read has told fails the test that caused it. For an op
 * that has no kernel on a device yet, a test that says so takes the place of `body`.
 */
export function onEveryDevice(name: string, body: (device: Device) => void): void {
  for (const device of devices) {
    describe(`${name} on ${device}`, () => {
      const missing = missingOps(device);
      const lacking = [name, ...(alsoNeeds[name] ?? [])].filter((op) => missing.includes(op));
      if (lacking.length > 0) {
        test(`is not there yet: ${lacking.join(', ')}`, () => assert.ok(lacking.every((op) => op in native.ops)));
        return;
      }
      beforeAll(() => setDefaultDevice(device));
      setDefaultDevice(device); // for what `body` makes on its way
      afterAll(() => setDefaultDevice('cpu'));
      afterEach(() => synchronize());
      body(device);
      setDefaultDevice('cpu');
    });
  }
}
