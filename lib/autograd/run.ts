/** Calls a native op without a gradient: the graph's own sums, and ops whose result has none (ids, counts, updates). */
import { type Fields, guarded, type Handle, type NativeOp, native, type Outputs } from '../native';
import { ambient } from '../tensor/ambient';
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

/** The native call takes fields by their order and fills empty handles. */
function named(op: string, call: NativeOp, kinds: readonly (readonly [string, string])[]): Call {
  return (fields, wanted) => {
    const values: unknown[] = [];
    const made: { name: string; handle: Handle }[] = [];
    for (const [name, kind] of kinds) {
      const value = fields[name];
      if (kind === 'value') {
        values.push(value);
      } else if (Array.isArray(value)) {
        values.push(value.map((element, index) => Tensor.handleOf(element, op, `${name}[${index}]`)));
      } else if (value === undefined && (kind === 'out' || kind === 'saved') && (wanted ? wanted.includes(name) : kind === 'out')) {
        const handle = Tensor.emptyHandle();
        made.push({ name, handle });
        values.push(handle);
      } else {
        values.push(Tensor.handleOf(value, op, name));
      }
    }
    const { token } = ambient();
    guarded(() => call(token, ...values));
    const outputs: Outputs = {};
    made.forEach(({ name, handle }, place) => {
      const tensor = Tensor.made(handle, place);
      if (tensor) outputs[name] = tensor;
    });
    return outputs;
  };
}
