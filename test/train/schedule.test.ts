import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { asDeepSpeed, warmupCosine, warmupDecay } from '../../lib';
import { scheduleOf } from '../../lib/train/schedule';

const ratesOf = (schedule: (iteration: number) => number, iterations: number[]) => iterations.map((iteration) => schedule(iteration));

describe('schedules', () => {
  test('warmupDecay rises to lr, falls to 0 and stays there', () => {
    const schedule = warmupDecay({ lr: 4, warmupSteps: 4, totalSteps: 12 });
    assert.deepEqual(ratesOf(schedule, [0, 1, 3, 4, 5, 8, 12, 13, 1000]), [0, 1, 3, 4, 3.5, 2, 0, 0, 0]);
  });

  test('the warm-up is 100 steps unless told, and may be none', () => {
    assert.equal(warmupDecay({ lr: 1, totalSteps: 200 })(50), 0.5);
    assert.deepEqual(ratesOf(warmupDecay({ lr: 1, warmupSteps: 0, totalSteps: 2 }), [0, 1, 2]), [1, 0.5, 0]);
    assert.equal(warmupDecay({ lr: 1, warmupSteps: 10, totalSteps: 10 })(10), 0);
  });

  test('warmupCosine rises to lr and follows half a cosine to minLr', () => {
    const schedule = warmupCosine({ lr: 1, minLr: 0.1, warmupSteps: 2, totalSteps: 10 });
    const wanted = [0, 0.5, 1, 0.1 + 0.45 * (1 + Math.SQRT1_2), 0.55, 0.1, 0.1];
    for (const [index, iteration] of [0, 1, 2, 4, 6, 10, 99].entries()) {
      assert.ok(Math.abs(schedule(iteration) - (wanted[index] as number)) < 1e-12, `iteration ${iteration}: ${schedule(iteration)}`);
    }
  });

  test('asDeepSpeed starts at the full rate and follows one step behind', () => {
    assert.deepEqual(ratesOf(asDeepSpeed(warmupDecay({ lr: 4, warmupSteps: 4, totalSteps: 12 }), 4), [0, 1, 2, 5]), [4, 0, 1, 4]);
  });

  test('names the option that does not fit', () => {
    const throws = (body: () => unknown, message: string) => assert.throws(body, { name: 'ArgumentError', message });
    throws(() => warmupDecay({ lr: -1, totalSteps: 1 }), 'warmupDecay: lr is -1, expected a finite number from 0');
    throws(() => warmupDecay({ lr: 1, totalSteps: 1, warmupSteps: 0.5 }), 'warmupDecay: warmupSteps is 0.5, expected an integer from 0');
    throws(() => warmupCosine({ lr: 1, totalSteps: Number.NaN }), 'warmupCosine: totalSteps is NaN, expected an integer from 0');
    throws(() => warmupCosine({ lr: 1, totalSteps: 1, minLr: 2 }), 'warmupCosine: minLr is 2, expected from 0 to lr, 1');
  });
});

describe('scheduleOf', () => {
  test('ends a constant rate with a cooldown', () => {
    const rates = { lr: 1, schedule: 'constant', warmupSteps: 4, cooldownSteps: 5, minLr: 0.5, deepspeed: false } as const;
    const schedule = scheduleOf(rates, 20);
    assert.deepEqual(
      [0, 2, 4, 14, 15, 16, 19, 20].map((step) => schedule(step)),
      [0, 0.5, 1, 1, 1, 0.9, 0.6, 0.5],
    );
  });
});
