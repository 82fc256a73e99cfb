/**
 * Calls a native op and records its gradient. The contract says all that is needed: the backward of `op` is the op
 * `${op}Backward`; its fields named as fields of the forward are kept for it, its `dNAME` inputs are the gradients of
 * outputs, its `dNAME` outputs those of inputs. So a wrapper in lib/ops is a docstring and one call.
 */
import { GradientError } from '../errors';
import { type Fields, type FieldValue, guarded, native, type Outputs } from '../native';
import { withAmbient } from '../tensor/ambient';
import { Tensor } from '../tensor/tensor';
import { GradNode, records } from './graph';
import { run } from './run';

export { run } from './run';

const gradientName = (name: string) => `d${name}`;

/**
 * A call with a gradient.
 * @throws GradientError when a gradient is asked for of an op, or of an argument, that has none.
 */
export function call(op: string, fields: Fields): Outputs {
  if (!records(tensorsOf(fields))) return run(op, fields);
  const backwardOp = `${op}Backward`;
  const backwardKinds = native.fields[backwardOp];
  if (!backwardKinds) throw new GradientError(`${op} has no gradient; call it inside noGradients(), or on tensors that require none`);
  const kinds = native.fields[op] as Record<string, string>;

  const outputNames = Object.keys(kinds).filter((name) => kinds[name] === 'out' || kinds[name] === 'saved');
  const outputs = run(
    op,
    fields,
    outputNames.filter((name) => kinds[name] === 'out' || name in backwardKinds),
  );

  // Inputs that get a gradient: single tensors by name; arrays of tensors hand over all of theirs.
  const trained = Object.keys(fields).filter((name) => tensorsOf({ name: fields[name] }).some((tensor) => tensor.requiresGrad));
  for (const name of trained) {
    if (backwardKinds[gradientName(name)] !== 'out')
      throw new GradientError(`${op}: ${name} has no gradient, expected a tensor that requires none`);
  }
  const saved: Tensor[] = [];
  const hold = (value: FieldValue): FieldValue => {
    if (!(value instanceof Tensor)) return value;
    const held = aliasOutsideScopes(value);
    saved.push(held);
    return held;
  };
  const kept: Fields = {};
  for (const name of Object.keys(backwardKinds)) {
    const value = name in outputs ? outputs[name] : fields[name];
    if (name in outputs || name in fields) kept[name] = Array.isArray(value) ? (value.map(hold) as Tensor[]) : hold(value);
  }
  const upstreamNames = outputNames.filter((name) => backwardKinds[gradientName(name)] !== undefined);

  const node = new GradNode(
    op,
    trained.map((name) => fields[name] as Tensor),
    saved,
    (upstream) => {
      const given: Fields = { ...kept };
      for (const name of upstreamNames) given[gradientName(name)] = upstream[name];
      const results = run(backwardOp, given, trained.map(gradientName));
      return trained.map((name) => results[gradientName(name)]);
    },
  );
  for (const name of upstreamNames) (outputs[name] as Tensor).node = { node, output: name };
  return outputs;
}

/**
 * Records a gradient by hand, for what is no op of its own (views) or is made of several.
 * @param backward - d loss / d inputs, in order, from d loss / d y; may use `saved`, which are alive then whatever scopes end.
 *   It may hand `dy` on as it is, once, or other handles on its memory.
 */
export function record(
  op: string,
  y: Tensor,
  inputs: readonly Tensor[],
  saved: readonly Tensor[],
  backward: (dy: Tensor, ...saved: Tensor[]) => readonly (Tensor | undefined)[],
): Tensor {
  if (!records(inputs)) return y;
  const held = saved.map(aliasOutsideScopes);
  const node = new GradNode(op, inputs, held, ({ y: dy }) => backward(dy as Tensor, ...held), true);
  y.node = { node, output: 'y' };
  return y;
}

/** Another handle on the same memory that no scope frees. */
export function aliasOutsideScopes(tensor: Tensor): Tensor {
  return withAmbient({ scope: undefined }, () => guarded(() => native.alias(tensor)));
}

function tensorsOf(fields: Fields): Tensor[] {
  return Object.values(fields).flatMap((value) =>
    value instanceof Tensor ? [value] : Array.isArray(value) ? value.filter((element): element is Tensor => element instanceof Tensor) : [],
  );
}
