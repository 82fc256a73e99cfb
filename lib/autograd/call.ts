/**
 * Calls a native op and records its gradient. The contract says all that is needed: the backward of `op` is the op
 * `${op}Backward`; its fields named as fields of the forward are kept for it, its `dNAME` inputs are the gradients of
 * outputs, its `dNAME` outputs those of inputs. So a wrapper in lib/ops is a docstring and one call.
 */
import { GradientError } from '../errors';
import { type Fields, type FieldValue, native, type Outputs } from '../native';
import { ambient } from '../tensor/ambient';
import { Scope } from '../tensor/scope';
import { Tensor } from '../tensor/tensor';
import { GradNode, records } from './graph';
import { run } from './run';

export { run } from './run';

/** What the contract says of an op's gradient. */
interface Derivative {
  op: string;
  /** Outputs to make when a gradient is recorded: those of every call, and those that the backward reads. */
  wanted: string[];
  /** Fields of the backward that are fields or outputs of the forward. */
  kept: string[];
  /** Outputs that have a gradient, with the backward's field that takes it. */
  upstream: (readonly [output: string, gradient: string])[];
  /** By field of the forward, the backward's output that is its gradient. */
  gradients: Map<string, string>;
}

const derivatives = new Map<string, Derivative>();

function derivativeOf(op: string): Derivative {
  const known = derivatives.get(op);
  if (known) return known;
  const backwardOp = `${op}Backward`;
  const backwardKinds = native.fields[backwardOp];
  if (!backwardKinds) throw new GradientError(`${op} has no gradient; call it inside noGradients(), or on tensors that require none`);
  const kinds = native.fields[op] as Record<string, string>;
  const outputs = Object.keys(kinds).filter((name) => kinds[name] === 'out' || kinds[name] === 'saved');
  const withGradients = Object.keys(kinds).map((name) => [name, `d${name}`] as const);
  const derivative: Derivative = {
    op: backwardOp,
    wanted: outputs.filter((name) => kinds[name] === 'out' || name in backwardKinds),
    kept: Object.keys(backwardKinds).filter((name) => name in kinds),
    upstream: withGradients.filter(([name, gradient]) => outputs.includes(name) && gradient in backwardKinds),
    gradients: new Map(withGradients.filter(([, gradient]) => backwardKinds[gradient] === 'out')),
  };
  derivatives.set(op, derivative);
  return derivative;
}

/**
 * A call with a gradient.
 * @param shared - inputs that have no gradient of their own: by name, the tensor of the backward that is theirs too, a gradient it
 *   makes or one it is given.
 * @param unread - fields that the backward reads in other calls, and not in this one: they are not kept for it.
 * @throws GradientError when a gradient is asked for of an op, or of an argument, that has none.
 */
export function call(op: string, fields: Fields, shared: Readonly<Record<string, string>> = {}, unread: readonly string[] = []): Outputs {
  if (!ambient().gradients) return run(op, fields);
  // Inputs that get a gradient: single tensors by name; arrays of tensors hand over all of theirs.
  const trained: string[] = [];
  for (const name of Object.keys(fields)) if (trains(fields[name])) trained.push(name);
  if (trained.length === 0) return run(op, fields);
  const derivative = derivativeOf(op);
  const outputs = run(op, fields, derivative.wanted);
  const gradients = trained.map((name) => {
    const gradient = shared[name] ?? derivative.gradients.get(name);
    if (!gradient) throw new GradientError(`${op}: ${name} has no gradient, expected a tensor that requires none`);
    return gradient;
  });
  const saved: Tensor[] = [];
  const kept: Fields = {};
  for (const name of derivative.kept) {
    const value = name in outputs ? outputs[name] : fields[name];
    if (value !== undefined && !unread.includes(name)) kept[name] = held(value, saved);
  }
  const node = new GradNode(
    op,
    trained.map((name) => fields[name] as Tensor),
    saved,
    (upstream) => {
      const given: Fields = { ...kept };
      for (const [output, gradient] of derivative.upstream) given[gradient] = upstream[output];
      const toMake = gradients.filter((gradient, index) => !(gradient in given) && gradients.indexOf(gradient) === index);
      const made = toMake.length > 0 ? run(derivative.op, given, toMake) : {};
      return gradients.map((gradient, index) => {
        const result = made[gradient] ?? (given[gradient] as Tensor | undefined);
        return result && gradients.indexOf(gradient) < index ? Tensor.alias(result) : result;
      });
    },
    trained.some((name) => name in shared),
  );
  for (const [output] of derivative.upstream) (outputs[output] as Tensor).node = { node, output };
  return outputs;
}

/** What a backward is given later in place of `value`: other handles on the same memory, added to `saved`. */
function held(value: FieldValue, saved: Tensor[]): FieldValue {
  if (Array.isArray(value)) return value.map((element) => held(element, saved)) as Tensor[];
  if (!(value instanceof Tensor)) return value;
  const alias = aliasOutsideScopes(value);
  saved.push(alias);
  return alias;
}

function trains(value: FieldValue): boolean {
  return value instanceof Tensor ? value.requiresGrad : Array.isArray(value) && value.some(trains);
}

/**
 * Records a gradient by hand, for what is no op of its own (views) or is made of several.
 * @param backward - d loss / d inputs, in order, from d loss / d y; may use `saved`, which are alive then whatever scopes end.
 *   It may hand `dy` on as it is, once, or other handles on its memory.
 * @param shares - false where gradients are never handles on memory that somebody else goes on to hold; leaves take them as they are.
 */
export function record(
  op: string,
  y: Tensor,
  inputs: readonly Tensor[],
  saved: readonly Tensor[],
  backward: (dy: Tensor, ...saved: Tensor[]) => readonly (Tensor | undefined)[],
  shares = true,
): Tensor {
  if (!records(inputs)) return y;
  const held = saved.map(aliasOutsideScopes);
  const node = new GradNode(op, inputs, held, ({ y: dy }) => backward(dy as Tensor, ...held), shares);
  y.node = { node, output: 'y' };
  return y;
}

/** Another handle on the same memory that no scope frees. */
export function aliasOutsideScopes(tensor: Tensor): Tensor {
  return Scope.disown(Tensor.alias(tensor));
}
