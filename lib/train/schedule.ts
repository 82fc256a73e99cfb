/** Learning rates over a run: pure functions of the iteration, counted from 0, one an optimiser step. */
import { ArgumentError } from '../errors';

/** Learning rate at an iteration from 0. */
export type Schedule = (iteration: number) => number;

export interface ScheduleOptions {
  /** The highest rate, reached after the warm-up. */
  lr: number;
  /** Iterations that rise linearly from 0; default 100. */
  warmupSteps?: number;
  /** Iterations of the whole run: the rate is at its end from this one on. */
  totalSteps: number;
}

const kWarmupSteps = 100;

function checked(name: string, { lr, warmupSteps = kWarmupSteps, totalSteps }: ScheduleOptions): Required<ScheduleOptions> {
  const refuse = (argument: string, got: unknown, expected: string): never => {
    throw new ArgumentError(`${name}: ${argument} is ${String(got)}, expected ${expected}`);
  };
  if (!(Number.isFinite(lr) && lr >= 0)) refuse('lr', lr, 'a finite number from 0');
  if (!(Number.isInteger(warmupSteps) && warmupSteps >= 0)) refuse('warmupSteps', warmupSteps, 'an integer from 0');
  if (!(Number.isInteger(totalSteps) && totalSteps >= 0)) refuse('totalSteps', totalSteps, 'an integer from 0');
  return { lr, warmupSteps, totalSteps };
}

/**
 * Linear to `lr` over the warm-up, then linear to 0 at `totalSteps`: DeepSpeed's WarmupDecayLR with `warmup_type` linear,
 * as MGLMM's train.py configures it.
 */
export function warmupDecay(options: ScheduleOptions): Schedule {
  const { lr, warmupSteps, totalSteps } = checked('warmupDecay', options);
  return (iteration) => {
    if (iteration < warmupSteps) return lr * (iteration / warmupSteps);
    return lr * Math.max(0, (totalSteps - iteration) / Math.max(1, totalSteps - warmupSteps));
  };
}

/**
 * Linear to `lr` over the warm-up, then half a cosine down to `minLr` at `totalSteps`.
 * @param options.minLr - default 0.
 * @see Loshchilov & Hutter 2017, https://arxiv.org/abs/1608.03983 (without restarts)
 */
export function warmupCosine(options: ScheduleOptions & { minLr?: number }): Schedule {
  const { lr, warmupSteps, totalSteps } = checked('warmupCosine', options);
  const { minLr = 0 } = options;
  if (!(minLr >= 0 && minLr <= lr)) throw new ArgumentError(`warmupCosine: minLr is ${String(minLr)}, expected from 0 to lr, ${lr}`);
  return (iteration) => {
    if (iteration < warmupSteps) return lr * (iteration / warmupSteps);
    const progress = Math.min(1, (iteration - warmupSteps) / Math.max(1, totalSteps - warmupSteps));
    return minLr + (lr - minLr) * 0.5 * (1 + Math.cos(Math.PI * progress));
  };
}

/**
 * The rate that each optimiser step uses under DeepSpeed 0.12.5, to reproduce a run of it: there the scheduler follows one
 * step behind, and the very first step runs at the full `lr`. Without it, step n uses `schedule(n)`, which starts at 0.
 */
export function asDeepSpeed(schedule: Schedule, lr: number): Schedule {
  return (step) => (step === 0 ? lr : schedule(step - 1));
}

export interface Rates extends Pick<ScheduleOptions, 'lr'> {
  readonly schedule: 'decay' | 'cosine' | 'constant';
  readonly warmupSteps: number;
  /** Last steps of a constant rate, in which it falls. */
  readonly cooldownSteps: number;
  /** Where the cosine and the cooldown end. */
  readonly minLr: number;
  /** As DeepSpeed's engine uses them. */
  readonly deepspeed: boolean;
}

/** The rates of a run of `steps` steps, as a configuration says them. */
export function scheduleOf({ lr, warmupSteps, cooldownSteps, minLr, schedule, deepspeed }: Rates, steps: number): Schedule {
  const options = { lr, warmupSteps, totalSteps: steps };
  const constant: Schedule = (step) => {
    if (step < warmupSteps) return (lr * step) / warmupSteps;
    const left = steps - step;
    return left < cooldownSteps ? minLr + (lr - minLr) * (left / cooldownSteps) : lr;
  };
  const rates = { decay: () => warmupDecay(options), cosine: () => warmupCosine({ ...options, minLr }), constant: () => constant };
  return deepspeed ? asDeepSpeed(rates[schedule](), lr) : rates[schedule]();
}
