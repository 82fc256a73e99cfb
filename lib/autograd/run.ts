/** Calls a native op without a gradient: the graph's own sums, and ops whose result has none (ids, counts, updates). */
import { type FieldKind, type Fields, guarded, type Handle, type NativeOp, native, type Outputs } from '../native';
import { ambient } from '../tensor/ambient';
import { defaultDevice } from '../tensor/device';
import { Tensor } from '../tensor/tensor';

type Call = (fields: Fields, wanted?: readonly string[]) => Outputs;

/** Every op of the contract, with its fields by name. */
export const ops: Record<string, Call> = Object.fromEntries(
  Object.entries(native.ops).map(([op, call]) => [op, named(op, call, Object.entries(native.fields[op] ?? {}))]),
);

/** @param wanted - names of the outputs to make; without it all but those that only a backward needs. */
export function run(op: string, fields: Fields, wanted?: readonly string[]): Outputs {
  return (ops[op] as Call)(fields, wanted);
}

/**
 * The native call takes fields by their order and fills empty handles. No closure with a name in here: tsx, which keeps names, pays a
 * microsecond for each.
 */
function named(op: string, call: NativeOp, kinds: readonly (readonly [string, FieldKind])[]): Call {
  return (fields, wanted) => {
    const values: unknown[] = [];
    const made: { name: string; handle: Handle }[] = [];
    for (const [name, kind] of kinds) {
      const value = fields[name];
      if ((kind === 'out' || kind === 'saved') && value === undefined) {
        const handle = (wanted ? wanted.includes(name) : kind === 'out') ? Tensor.emptyHandle() : undefined;
        if (handle) made.push({ name, handle });
        values.push(handle);
      } else if (kind === 'value') {
        values.push(value);
      } else if (kind === 'ins' || kind === 'inouts') {
        values.push(Array.isArray(value) ? value.map((one, index) => Tensor.handleOf(one, op, `${name}[${index}]`)) : value);
      } else {
        values.push(Tensor.handleOf(value, op, name));
      }
    }
    const { token } = ambient();
    values.push(defaultDevice());
    guarded(() => call(token, ...values));
    const outputs: Outputs = {};
    made.forEach(({ name, handle }, place) => {
      const tensor = Tensor.made(handle, place);
      if (tensor) outputs[name] = tensor;
    });
    return outputs;
  };
}
