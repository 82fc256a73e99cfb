import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { asDeepSpeed, type Schedule, warmupDecay } from '../../lib';

interface Expected {
  schedules: {
    lr: number;
    total_num_steps: number;
    warmup_num_steps: number;
    iteration: number[];
    lr_at_iteration: number[];
    lr_used_by_optimizer_step_deepspeed_0_12_5: number[];
  }[];
  rtol: number;
}

/** Every number of every schedule in the folder's table. */
export function checks(folder: string): Record<string, () => void> {
  const { schedules, rtol } = JSON.parse(readFileSync(join(folder, 'expected.json'), 'utf8')) as Expected;
  assert.ok(schedules.length > 0, `${folder} has no schedule`);
  const compare = (iterations: number[], rates: number[], schedule: Schedule) => {
    assert.ok(iterations.length > 0);
    assert.equal(rates.length, iterations.length);
    for (const [index, iteration] of iterations.entries()) {
      const [got, wanted] = [schedule(iteration), rates[index] as number];
      assert.ok(Math.abs(got - wanted) <= rtol * Math.abs(wanted), `at iteration ${iteration} the rate is ${got}, expected ${wanted}`);
    }
  };
  return Object.fromEntries(
    schedules.flatMap((one) => {
      const { lr, total_num_steps: totalSteps, warmup_num_steps: warmupSteps, iteration } = one;
      const schedule = warmupDecay({ lr, totalSteps, warmupSteps });
      const name = `lr_schedule: lr ${lr} over ${totalSteps} steps`;
      return [
        [name, () => compare(iteration, one.lr_at_iteration, schedule)],
        [
          `${name}, as DeepSpeed 0.12.5 uses it`,
          () => compare(iteration, one.lr_used_by_optimizer_step_deepspeed_0_12_5, asDeepSpeed(schedule, lr)),
        ],
      ];
    }),
  );
}
