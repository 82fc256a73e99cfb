/** Long work on the device in steps, so that what others enqueue has its turn between two of them, and giving up is quick. */
import { AbortedError } from '../errors';
import { reshape } from '../ops/reshape';
import { rowsView } from '../ops/rows_view';
import { abortable } from '../tensor/abort';
import { noGradients } from '../tensor/ambient';
import { Scope, tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';

/** Two: while one runs the next is there, and no more than those stand before what others want. */
const stepsAhead = 2;

/**
 * Takes all `steps`, each of which enqueues work and gives a tensor that the work makes.
 * @throws AbortedError once `signal` has fired; errors of the ops.
 */
export async function paced<Result>(steps: Generator<Tensor, Result>, signal: AbortSignal): Promise<Result> {
  const ahead: Promise<void>[] = [];
  try {
    for (;;) {
      expectGoing(signal);
      const step = enqueue(signal, () => steps.next());
      if (step.done) return step.value;
      const reach = reached(step.value);
      reach.catch(() => undefined);
      ahead.push(reach);
      if (ahead.length >= stepsAhead) await ahead.shift();
    }
  } finally {
    steps.return(undefined as never);
  }
}

/** @throws AbortedError once `signal` has fired. */
export function expectGoing(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw new AbortedError('the request was aborted', { cause: signal.reason });
}

/** Runs `body`; its ops are skipped once `signal` has fired. */
export const enqueue = <Result>(signal: AbortSignal, body: () => Result): Result => abortable(signal, () => noGradients(body));

/** A tensor that outlives all scopes; what else `body` makes is freed. */
export const kept = (body: () => Tensor): Tensor => tidy(() => Scope.disown(body()));

/** Resolves when `x` is computed; rejects when it cannot be. */
export async function reached(x: Tensor): Promise<void> {
  await tidy(() => rowsView(reshape(x, [x.count]), 0, 1).read());
}

export const bytesOf = ({ count, dtype }: Tensor): number => count * ({ f32: 4, i32: 4, bf16: 2, f16: 2, u8: 1 } as const)[dtype];
