/** Activation recompute: pay a second forward, keep only a block's inputs. Chen et al. 2016, arXiv 1604.06174. */
import { ambient, noGradients, withAmbient } from '../tensor/ambient';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { aliasOutsideScopes } from './call';
import { backward, GradNode } from './graph';

/**
 * `body(...inputs)`, of whose inner tensors none is kept for backward: it runs once more then. Parameters that `body` uses
 * get their gradients as usual. `body` must give the same result both times (dropout takes its seed as an argument).
 */
export function recompute(body: (...inputs: Tensor[]) => Tensor, ...inputs: Tensor[]): Tensor {
  const y = tidy(() => noGradients(() => body(...inputs)));
  if (!ambient().gradients) return y;
  const saved = inputs.map(aliasOutsideScopes);
  const node = new GradNode('recompute', inputs, saved, ({ y: dy }) =>
    tidy(() => {
      const leaves = saved.map((tensor, index) => {
        const leaf = aliasOutsideScopes(tensor);
        leaf.requiresGrad = node.edges[index] !== undefined;
        return leaf;
      });
      // What its backward does not need is freed before that begins.
      const again = withAmbient({ gradients: true }, () => tidy(() => body(...leaves)));
      if (again.node) backward(again, dy);
      for (const leaf of leaves) leaf.dispose();
      return leaves.map((leaf) => leaf.grad);
    }),
  );
  y.node = { node, output: 'y' };
  return y;
}
