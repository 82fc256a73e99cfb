import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { randomNormal } from '../../lib';
import { bf16Bits } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { normalAt, wordAt } from '../support/random';

onEveryDevice('randomNormal', () => {
  for (const [seed, offset, count] of [
    [0, 0, 2000],
    [7, 3, 131],
    [2 ** 40 + 5, 2 ** 35 + 1, 70],
    [1, 61, 1],
  ] as const)
    test(`agrees to the last bit for seed ${seed} from place ${offset}`, async () => {
      const expected = Float32Array.from({ length: count }, (_, i) => normalAt(seed, offset + i));
      assert.deepEqual([...(await randomNormal([count], { seed, offset }).read())], [...expected]);
    });

  test('is Box-Muller of the uniform numbers', async () => {
    const values = await randomNormal([4096], { seed: 3 }).read();
    values.forEach((value, place) => {
      const even = place - (place % 2);
      const radius = Math.sqrt(-2 * Math.log(((wordAt(3, even) >>> 8) + 1) * 2 ** -24));
      const angle = 2 * Math.PI * (wordAt(3, even + 1) >>> 8) * 2 ** -24;
      const expected = radius * (place % 2 === 0 ? Math.cos(angle) : Math.sin(angle));
      assert.ok(Math.abs(value - expected) < 2e-6, `place ${place} is ${value}, expected ${expected}`);
    });
  });

  test('has the moments of a normal distribution, however the work is split', async () => {
    const whole = (await randomNormal([3, 40001], { seed: 9 }).read()) as Float32Array;
    assert.deepEqual(whole.slice(70001, 71001), await randomNormal([1000], { seed: 9, offset: 70001 }).read());
    const moment = (power: number) => whole.reduce((sum, value) => sum + value ** power, 0) / whole.length;
    assert.ok(Math.abs(moment(1)) < 4 / Math.sqrt(whole.length));
    assert.ok(Math.abs(moment(2) - 1) < 4 * Math.sqrt(2 / whole.length));
    assert.ok(Math.abs(moment(4) - 3) < 4 * Math.sqrt(96 / whole.length));
  });

  test('scales, and rounds to the dtype', async () => {
    const bits = await randomNormal([50], { seed: 4, mean: 1, std: 0.5, dtype: 'bf16' }).readBits();
    assert.deepEqual(
      [...bits],
      Array.from({ length: 50 }, (_, i) => bf16Bits(Math.fround(1 + normalAt(4, i) * 0.5))),
    );
  });

  test('names the argument that does not fit', () => {
    assert.throws(() => randomNormal([2], { seed: -1 }), {
      name: 'ArgumentError',
      message: 'randomNormal: seed is -1, expected at least 0',
    });
    assert.throws(() => randomNormal([2], { seed: 0, offset: -4 }), {
      name: 'ArgumentError',
      message: 'randomNormal: offset is -4, expected at least 0',
    });
    assert.throws(() => randomNormal([2], { seed: 0, dtype: 'u8' }), {
      name: 'ArgumentError',
      message: 'randomNormal: dtype is u8, expected f32, bf16 or f16',
    });
    assert.throws(() => randomNormal([2], { seed: 0, mean: Number.NaN }), {
      name: 'ArgumentError',
      message: 'randomNormal: mean is nan, expected a finite number',
    });
    assert.throws(() => randomNormal([2], { seed: 0, std: Number.NaN }), {
      name: 'ArgumentError',
      message: 'randomNormal: std is nan, expected a finite number',
    });
  });
});
