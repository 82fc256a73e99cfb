/** Calls a native op without a gradient: the graph's own sums, and ops whose result has none (ids, counts, updates). */
import { type Fields, guarded, native, type Outputs } from '../native';
import { ambient } from '../tensor/ambient';

/** @param wanted - names of the outputs to make; without it all but those that only a backward needs. */
export function run(op: string, fields: Fields, wanted?: readonly string[]): Outputs {
  const call = native.ops[op] as NonNullable<(typeof native.ops)[string]>;
  return guarded(() => call(fields, wanted, ambient().token));
}
