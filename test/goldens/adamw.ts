import { adamw, type Tensor, tensor } from '../../lib';
import type { Golden } from '../support/golden';

/** Rows of each result are the state after each step; row t of `grads` is the gradient of step t. */
export const golden: Golden = async ({ param, grads }, { steps, lr, betas, eps, weight_decay }) => {
  const [size] = param!.shape as [number];
  const [beta1, beta2] = betas as [number, number];
  const state = { param: param!, expAvg: tensor(new Float32Array(size)), expAvgSq: tensor(new Float32Array(size)) };
  const rows = { params: [] as number[], exp_avg: [] as number[], exp_avg_sq: [] as number[] };
  const values = (await grads!.read()) as Float32Array;
  for (let step = 1; step <= (steps as number); step++) {
    adamw({
      params: [state.param],
      grads: [tensor(values.slice((step - 1) * size, step * size))],
      expAvg: [state.expAvg],
      expAvgSq: [state.expAvgSq],
      lr: lr as number,
      beta1,
      beta2,
      eps: eps as number,
      weightDecay: weight_decay as number,
      step,
    });
    rows.params.push(...(await state.param.read()));
    rows.exp_avg.push(...(await state.expAvg.read()));
    rows.exp_avg_sq.push(...(await state.expAvgSq.read()));
  }
  const results: Record<string, Tensor> = {};
  for (const [name, row] of Object.entries(rows)) results[name] = tensor(row, [steps as number, size]);
  return results;
};
