import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { randomUniform } from '../../lib';
import { bf16Bits } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { wordAt } from '../support/random';

const at = (seed: number, place: number) => (wordAt(seed, place) >>> 8) * 2 ** -24;

onEveryDevice('randomUniform', () => {
  for (const [seed, offset, count] of [
    [0, 0, 300],
    [7, 3, 131],
    [2 ** 40 + 5, 2 ** 35 + 2, 70],
    [1, 61, 1],
    [2 ** 53 - 1, 2 ** 53 - 20, 9],
  ] as const)
    test(`agrees to the last bit for seed ${seed} from place ${offset}`, async () => {
      const expected = Float32Array.from({ length: count }, (_, i) => {
        return at(seed, offset + i);
      });
      assert.deepEqual(await randomUniform([count], { seed, offset }).read(), expected);
    });

  test('is the same however the work is split', async () => {
    const whole = (await randomUniform([3, 40001], { seed: 9 }).read()) as Float32Array;
    assert.deepEqual(whole.slice(70001, 71001), await randomUniform([1000], { seed: 9, offset: 70001 }).read());
    assert.equal(whole[100003], at(9, 100003));
    const mean = whole.reduce((sum, value) => sum + value, 0) / whole.length;
    assert.ok(Math.abs(mean - 0.5) < 4 * Math.sqrt(1 / 12 / whole.length));
    assert.ok(whole.every((value) => value >= 0 && value < 1));
  });

  test('scales, and rounds to the dtype', async () => {
    const bits = await randomUniform([50], { seed: 4, low: -2, high: 6, dtype: 'bf16' }).readBits();
    assert.deepEqual(
      [...bits],
      Array.from({ length: 50 }, (_, i) => bf16Bits(at(4, i) * 8 - 2)),
    );
  });

  test('names the argument that does not fit', () => {
    assert.throws(() => randomUniform([2], { seed: -1 }), {
      name: 'ArgumentError',
      message: 'randomUniform: seed is -1, expected at least 0',
    });
    assert.throws(() => randomUniform([2], { seed: 0, offset: -4 }), {
      name: 'ArgumentError',
      message: 'randomUniform: offset is -4, expected at least 0',
    });
    assert.throws(() => randomUniform([2], { seed: 0.5 }), {
      name: 'ArgumentError',
      message: 'randomUniform: seed is 0.5, expected an integer',
    });
    assert.throws(() => randomUniform([2], { seed: 0, dtype: 'i32' }), {
      name: 'ArgumentError',
      message: 'randomUniform: dtype is i32, expected f32, bf16 or f16',
    });
    assert.throws(() => randomUniform([2], { seed: 0, low: Number.NaN }), {
      name: 'ArgumentError',
      message: 'randomUniform: low is nan, expected a finite number',
    });
    assert.throws(() => randomUniform([2], { seed: 0, high: Number.POSITIVE_INFINITY }), {
      name: 'ArgumentError',
      message: 'randomUniform: high is inf, expected a finite number',
    });
  });
});
