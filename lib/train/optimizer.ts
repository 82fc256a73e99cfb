/** AdamW over a model's parameters by name: norm, clipping and update of all of them in three native calls. */
import { ArgumentError } from '../errors';
import { adamw } from '../ops/adamw';
import { cast } from '../ops/cast';
import { clipGradients } from '../ops/clip_gradients';
import { zeros } from '../ops/fill';
import { gradNorm } from '../ops/grad_norm';
import { noGradients } from '../tensor/ambient';
import { onDevice } from '../tensor/device';
import { Scope } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';

export interface AdamWOptions {
  /** Decay of the first and second moment; default 0.9 and 0.95, as MGLMM trains. */
  betas?: readonly [number, number];
  /** Default 1e-8. */
  eps?: number;
  /** Decoupled from the gradient; default 0. */
  weightDecay?: number;
  /** Gradients are scaled so that their global norm is this at most; default 1. `Infinity` clips nothing. */
  maxNorm?: number;
}

/** What the optimiser remembers of one parameter: what a snapshot must keep to go on exactly. */
export interface AdamWState {
  /** Steps this parameter had a gradient in. */
  step: number;
  /** First moment, f32, the parameter's shape. */
  readonly expAvg: Tensor;
  /** Second moment, f32, the parameter's shape. */
  readonly expAvgSq: Tensor;
  /** The f32 original of a parameter of bf16 or f16. */
  readonly master?: Tensor;
}

/**
 * Adam with decoupled weight decay. Parameters that got no gradient stay as they are, and so does their state; a parameter
 * of bf16 or f16 is updated through an f32 original that this class keeps.
 * @see Loshchilov & Hutter 2019, https://arxiv.org/abs/1711.05101
 */
export class AdamW implements Disposable {
  readonly parameters: ReadonlyMap<string, Tensor>;
  /** By the parameter's name. */
  readonly state: ReadonlyMap<string, AdamWState>;
  readonly options: Required<AdamWOptions>;
  /** What the last step counted. */
  #stepped: readonly AdamWState[] = [];

  /**
   * @param parameters - leaves with `requiresGrad`, by name; they stay their owner's.
   * @throws ArgumentError when one tensor comes under two names.
   */
  constructor(parameters: Iterable<readonly [string, Tensor]>, options: AdamWOptions = {}) {
    this.parameters = new Map(parameters);
    this.options = { betas: [0.9, 0.95], eps: 1e-8, weightDecay: 0, maxNorm: 1, ...options };
    if (!(this.options.maxNorm > 0)) {
      throw new ArgumentError(`AdamW: maxNorm is ${String(this.options.maxNorm)}, expected a number above 0, or Infinity`);
    }
    const names = new Map<Tensor, string>();
    for (const [name, tensor] of this.parameters) {
      const other = names.get(tensor);
      if (other !== undefined) throw new ArgumentError(`AdamW: ${name} is the tensor of ${other}, expected each parameter once`);
      names.set(tensor, name);
    }
    const keep = (tensor: Tensor) => Scope.disown(tensor);
    this.state = new Map(
      noGradients(() =>
        [...this.parameters].map(([name, tensor]) => {
          const moment = () => keep(onDevice(tensor.device, () => zeros(tensor.shape)));
          const moments = { step: 0, expAvg: moment(), expAvgSq: moment() };
          return [name, tensor.dtype === 'f32' ? moments : { ...moments, master: keep(cast(tensor, 'f32')) }] as const;
        }),
      ),
    );
  }

  /**
   * Clips the gradients and updates every parameter that has one. Only enqueues.
   * @returns Global norm of the gradients before clipping, f32 `[]`. When it is not finite no parameter was changed.
   */
  step({ lr }: { lr: number }): Tensor {
    const { betas, eps, weightDecay, maxNorm } = this.options;
    const [beta1, beta2] = betas;
    const trained = [...this.parameters].filter(([, { grad }]) => grad);
    const grads = trained.map(([, { grad }]) => grad as Tensor);
    const norm = gradNorm(grads);
    if (maxNorm < Number.POSITIVE_INFINITY) clipGradients(grads, norm, { maxNorm });
    // One call for all that share a step and a kind; as a rule that is one or two.
    this.#stepped = trained.map(([name]) => this.state.get(name) as AdamWState);
    const groups = new Map<string, { param: Tensor; state: AdamWState }[]>();
    for (const [name, param] of trained) {
      const state = this.state.get(name) as AdamWState;
      const kind = `${++state.step} ${state.master !== undefined}`;
      const group = groups.get(kind);
      if (group) group.push({ param, state });
      else groups.set(kind, [{ param, state }]);
    }
    for (const group of groups.values()) {
      adamw({
        params: group.map(({ param }) => param),
        grads: group.map(({ param }) => param.grad as Tensor),
        expAvg: group.map(({ state }) => state.expAvg),
        expAvgSq: group.map(({ state }) => state.expAvgSq),
        masters: group.flatMap(({ state }) => state.master ?? []),
        norm,
        ...{ lr, beta1, beta2, eps, weightDecay },
        step: group[0]?.state.step as number,
      });
    }
    return norm;
  }

  /**
   * After a step whose norm was not finite, which changed nothing: takes its number back, so that the next step's moments are
   * corrected as if it had not been.
   */
  takeBack(): void {
    for (const state of this.#stepped) state.step--;
    this.#stepped = [];
  }

  /** Frees all gradients, so that the next `backward` starts from none. */
  zeroGrad(): void {
    for (const parameter of this.parameters.values()) {
      parameter.grad?.dispose();
      parameter.grad = undefined;
    }
  }

  /** Frees the state; parameters and their gradients stay. */
  dispose(): void {
    for (const { expAvg, expAvgSq, master } of this.state.values()) {
      for (const tensor of [expAvg, expAvgSq, master]) tensor?.dispose();
    }
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
