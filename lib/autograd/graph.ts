/**
 * The gradient graph. An op that is called with a tensor that requires a gradient leaves a node: what its backward needs,
 * and where each gradient goes. `backward` walks the nodes from the loss down, in reverse order of their making.
 */
import { GradientError } from '../errors';
import { ambient, noGradients } from '../tensor/ambient';
import { onDevice } from '../tensor/device';
import { type Owned, Scope } from '../tensor/scope';
import { Tensor } from '../tensor/tensor';
import { run } from './run';

/** Where a gradient goes: the node that made the tensor, or the leaf itself. */
export type Edge = { readonly node: GradNode; readonly output: string } | { readonly leaf: Tensor };

/** Gradients of a node's outputs by name; of its inputs, in the order of its edges. */
export type Backward = (upstream: Record<string, Tensor | undefined>) => readonly (Tensor | undefined)[];

let clock = 0;

export class GradNode implements Owned {
  owner?: Scope;
  readonly order = clock++;
  readonly op: string;
  readonly edges: readonly (Edge | undefined)[];
  /** Its backward may give several handles on one memory; a leaf's gradient must have memory of its own. */
  readonly shares: boolean;
  #backward: Backward | undefined;
  #saved: readonly Tensor[];

  constructor(op: string, inputs: readonly (Tensor | undefined)[], saved: readonly Tensor[], backward: Backward, shares = false) {
    this.op = op;
    this.shares = shares;
    this.edges = inputs.map((input) => (input?.requiresGrad ? (input.node ?? { leaf: input }) : undefined));
    this.#saved = saved;
    this.#backward = backward;
    ambient().scope?.root.own(this);
  }

  run(upstream: Record<string, Tensor | undefined>): readonly (Tensor | undefined)[] {
    if (!this.#backward) {
      throw new GradientError(`${this.op}: its graph was released, expected one backward a forward, inside the scope of the forward`);
    }
    return this.#backward(upstream);
  }

  /** Frees what was kept for backward. */
  dispose(): void {
    for (const tensor of this.#saved) tensor.dispose();
    this.#saved = [];
    this.#backward = undefined;
    Scope.disown(this);
  }
}

/** True when a call with `inputs` must leave a node. */
export function records(inputs: Iterable<Tensor | undefined>): boolean {
  if (!ambient().gradients) return false;
  for (const input of inputs) if (input?.requiresGrad) return true;
  return false;
}

/** Adds up two gradients that the graph owns. */
function accumulate(a: Tensor, b: Tensor): Tensor {
  const sum = run('add', { a, b }).y as Tensor;
  a.dispose();
  b.dispose();
  return sum;
}

/**
 * Adds d `loss` / d leaf to `leaf.grad` of every leaf that requires a gradient and that `loss` was computed from. Frees
 * the graph as it goes.
 * @param loss - a tensor with one element, unless `gradient` (its shape and dtype) is given.
 * @throws GradientError when nothing was recorded, or `loss` is no scalar.
 */
export function backward(loss: Tensor, gradient?: Tensor): void {
  const start = loss.node;
  if (!start) throw new GradientError('backward: loss was not computed from a tensor that requires a gradient');
  if (!gradient && loss.count !== 1) {
    throw new GradientError(`backward: loss is [${loss.shape.join(', ')}], expected one element, or a gradient of its shape`);
  }
  const walk = () => {
    const gradients = new Map<GradNode, Record<string, Tensor | undefined>>();
    const give = (edge: Edge, gradient: Tensor, shared: boolean) => {
      if ('leaf' in edge) {
        const { leaf } = edge;
        leaf.grad = Scope.disown(leaf.grad ? accumulate(leaf.grad, gradient) : shared ? unshared(gradient) : gradient);
        return;
      }
      const held = gradients.get(edge.node) ?? {};
      const before = held[edge.output];
      held[edge.output] = before ? accumulate(before, gradient) : gradient;
      gradients.set(edge.node, held);
    };
    const nodes = reachable(start.node);
    give(start, gradient ? Tensor.alias(gradient) : ones(loss), true);
    for (const node of nodes) {
      const upstream = gradients.get(node);
      if (upstream) {
        const results = node.run(upstream);
        node.edges.forEach((edge, index) => {
          const result = results[index];
          if (edge && result) give(edge, result, node.shares);
        });
        const handedOn = results.filter((_, index) => node.edges[index]);
        for (const tensor of Object.values(upstream)) release(tensor, handedOn);
      }
      gradients.delete(node);
      node.dispose();
    }
  };
  onDevice(loss.device, () => noGradients(walk));
}

function ones({ shape, dtype }: Tensor): Tensor {
  return run('fill', { shape, dtype, value: 1 }).y as Tensor;
}

function unshared(gradient: Tensor): Tensor {
  const own = run('copy', { x: gradient }).y as Tensor;
  gradient.dispose();
  return own;
}

/** An upstream gradient is done with, unless the op handed it on as it was. */
function release(tensor: Tensor | undefined, handedOn: readonly (Tensor | undefined)[]): void {
  if (tensor && !handedOn.includes(tensor)) tensor.dispose();
}

function reachable(start: GradNode): GradNode[] {
  const seen = new Set([start]);
  for (const node of seen) for (const edge of node.edges) if (edge && 'node' in edge) seen.add(edge.node);
  return [...seen].sort((a, b) => b.order - a.order);
}
