import { afterEach, describe } from '@jest/globals';
import { synchronize } from '../../lib';

/** Devices these tests run on: every one that is present. */
export const devices = ['cpu'] as const;

/** A `describe` for each device present; an error of the stream that no read has told fails the test that caused it. */
export function onEveryDevice(name: string, body: () => void): void {
  for (const device of devices) {
    describe(`${name} on ${device}`, () => {
      afterEach(() => synchronize());
      body();
    });
  }
}
