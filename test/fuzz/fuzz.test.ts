/**
 * 20,000 random calls over every native op and every wrapper of lib/ops: wrong ranks, dtypes, sizes, NaN, non-tensors,
 * disposed and packed tensors; half of them vary a valid call in up to two fields, so that kernels run too. Whatever comes
 * back is a result or a typed error, at the call or at the next await.
 */
import { strict as assert } from 'node:assert';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, test } from '@jest/globals';
import fc from 'fast-check';
import {
  type Dtype,
  empty,
  MglmmError,
  memory,
  noGradients,
  Scope,
  setMemoryLimit,
  synchronize,
  type Tensor,
  tensor,
  tidy,
} from '../../lib';
import { run } from '../../lib/autograd/run';
import { type Fields, native } from '../../lib/native';
import { countOf, randnArray, rounded } from '../support/data';
import { examples } from './examples';
import { type RecordedCall, recordCalls, type TensorShape } from './recorded';

const CALLS = 20_000;
const CALLS_A_RUN = 20;

const shapes = [
  [],
  [0],
  [1],
  [3],
  [4],
  [8],
  [2, 3],
  [3, 3],
  [4, 8],
  [8, 4],
  [0, 4],
  [2, 3, 4],
  [1, 4, 8],
  [2, 2, 4, 4],
  [1, 3, 8, 8],
  [1, 2, 3, 8],
  [2, 0, 3, 8],
  [1, 1, 1, 1, 1],
  [1, 2, 1, 2, 1, 2],
];
const dtypes: Dtype[] = ['f32', 'bf16', 'f16', 'i32', 'u8'];

/** Values with what breaks arithmetic and indices: NaN, infinities, ids out of range. */
function make(shape: readonly number[], dtype: Dtype, seed: number): Tensor {
  const count = countOf(shape);
  if (dtype === 'i32')
    return tensor(
      Int32Array.from({ length: count }, (_, i) => [0, 1, 2, -1, 3, 2 ** 31 - 1][(i + seed) % 6] as number),
      shape,
    );
  if (dtype === 'u8')
    return tensor(
      Uint8Array.from({ length: count }, (_, i) => [0, 1, 255][(i + seed) % 3] as number),
      shape,
    );
  const values = randnArray(count, seed);
  if (seed % 4 === 0 && count > 0) values[0] = [Number.NaN, Number.POSITIVE_INFINITY, -3e38, 1e-40][(seed / 4) % 4] as number;
  return rounded(values, shape, dtype);
}

/** A description of an argument; `build` makes it, so that a failing case prints as plain data. */
type Value =
  | { tensor: { shape: number; dtype: number; seed: number } }
  | { like: number }
  | { special: 'disposed' | 'unwritten' | 'fake' | 'packed' }
  | { plain: unknown }
  | { list: Value[] }
  | { options: Record<string, Value> };

const numbers = fc.constantFrom(
  0,
  1,
  2,
  3,
  4,
  8,
  -1,
  0.5,
  1e-5,
  1e9,
  2 ** 31,
  2 ** 53,
  -(2 ** 40),
  Number.NaN,
  Number.POSITIVE_INFINITY,
  Number.NEGATIVE_INFINITY,
);
const plain = fc.oneof(
  { weight: 4, arbitrary: numbers as fc.Arbitrary<unknown> },
  {
    weight: 1,
    arbitrary: fc.constantFrom<unknown>(
      true,
      false,
      null,
      undefined,
      '',
      'bilinear',
      'f32',
      'int8',
      'mean',
      {},
      [],
      [1, 2],
      [2 ** 40, 2 ** 40],
      [2, -3],
      Symbol.iterator,
      7n,
      () => 1,
    ),
  },
);
const tensors: fc.Arbitrary<Value> = fc.record({
  tensor: fc.record({ shape: fc.nat(shapes.length - 1), dtype: fc.nat(dtypes.length - 1), seed: fc.nat(40) }),
});
const values: fc.Arbitrary<Value> = fc.oneof(
  { weight: 5, arbitrary: fc.record({ like: fc.nat(40) }) as fc.Arbitrary<Value> },
  { weight: 4, arbitrary: tensors },
  { weight: 2, arbitrary: fc.record({ plain }) as fc.Arbitrary<Value> },
  { weight: 1, arbitrary: fc.record({ special: fc.constantFrom('disposed', 'unwritten', 'fake', 'packed') }) as fc.Arbitrary<Value> },
  { weight: 1, arbitrary: fc.record({ list: fc.array(tensors, { maxLength: 3 }) }) as fc.Arbitrary<Value> },
);
const scalars: fc.Arbitrary<Value> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Value>({ plain: undefined }) },
  { weight: 3, arbitrary: fc.record({ plain }) as fc.Arbitrary<Value> },
  { weight: 1, arbitrary: fc.record({ list: fc.array(fc.record({ plain: numbers }), { maxLength: 4 }) }) as fc.Arbitrary<Value> },
);

interface Call {
  seed: number;
  pick: number;
  shape: number;
  dtype: number;
  tensors: Value[];
  scalars: Value[];
  gradients: boolean;
}
const calls: fc.Arbitrary<Call> = fc.record({
  seed: fc.nat(1),
  pick: fc.nat(1_000_000),
  shape: fc.nat(shapes.length - 1),
  dtype: fc.nat(dtypes.length - 1),
  tensors: fc.array(values, { minLength: 8, maxLength: 8 }),
  scalars: fc.array(scalars, { minLength: 8, maxLength: 8 }),
  gradients: fc.boolean(),
});

function build(value: Value, call: Call): unknown {
  if ('like' in value) return make(shapes[call.shape] as number[], dtypes[call.dtype] as Dtype, value.like);
  if ('tensor' in value) return make(shapes[value.tensor.shape] as number[], dtypes[value.tensor.dtype] as Dtype, value.tensor.seed);
  if ('list' in value) return value.list.map((element) => build(element, call));
  if ('options' in value) return Object.fromEntries(Object.entries(value.options).map(([name, one]) => [name, build(one, call)]));
  if ('plain' in value) return value.plain;
  const shape = shapes[call.shape] as number[];
  if (value.special === 'unwritten') return empty(shape);
  if (value.special === 'fake') return { isTensor: true, shape, dtype: 'f32', device: 'cpu', layout: 'rows' };
  const made = make(shape, 'f32', 1);
  if (value.special === 'disposed') made.dispose();
  else if (shape.length === 2) return run('pack', { weight: made }).packed ?? made;
  return made;
}

/** Every native op, with arguments by the kinds of its fields. */
const nativeCalls = Object.entries(native.fields).map(([op, kinds]) => ({
  name: `native ${op}`,
  run: (call: Call) => {
    let nextTensor = 0;
    let nextScalar = 0;
    const fields: Record<string, unknown> = {};
    for (const [field, kind] of Object.entries(kinds)) {
      if (kind === 'value') fields[field] = build(call.scalars[nextScalar++ % 8] as Value, call);
      else if (kind === 'ins' || kind === 'inouts')
        fields[field] = [call.tensors[nextTensor++ % 8], call.tensors[nextTensor++ % 8]].map((one) => build(one as Value, call));
      else if (kind !== 'out' && kind !== 'saved') fields[field] = build(call.tensors[nextTensor++ % 8] as Value, call);
    }
    return run(op, fields as Fields);
  },
}));

/** Every function that a file of lib/ops exports, with tensors first and then scalars or an object of options. */
const folder = join(__dirname, '../../lib/ops');
const wrapperCalls = readdirSync(folder)
  .filter((file) => file.endsWith('.ts'))
  .flatMap((file) => Object.entries(require(join(folder, file)) as Record<string, unknown>))
  .filter(
    (entry): entry is [string, (...args: unknown[]) => unknown] => typeof entry[1] === 'function' && !/^class\b/.test(String(entry[1])),
  )
  .map(([name, wrapper]) => ({
    name,
    run: (call: Call) => {
      const count = call.pick % 6;
      const args = call.tensors.slice(0, count).map((one) => build(one, call));
      if (call.gradients)
        for (const one of args) if (typeof one === 'object' && one !== null && 'requiresGrad' in one) one.requiresGrad = true;
      if (call.pick % 3 === 1) args.push(build(call.scalars[0] as Value, call));
      if (call.pick % 3 === 2)
        args.push({
          eps: build(call.scalars[1] as Value, call),
          axis: build(call.scalars[2] as Value, call),
          seed: build(call.scalars[3] as Value, call),
        });
      return call.gradients ? wrapper(...args) : noGradients(() => wrapper(...args));
    },
  }));

/** Valid calls with up to two fields changed. */
let recorded: RecordedCall[] = [];
const variations = {
  name: 'variation',
  run: (call: Call) => {
    const { op, fields } =
      recorded[call.shape * 31 + (call.pick % recorded.length)] ?? (recorded[call.pick % recorded.length] as RecordedCall);
    const names = Object.keys(fields);
    const changed = [call.pick, call.pick >> 3].slice(0, call.dtype % 3).map((pick) => names[pick % names.length]);
    const valid = (one: TensorShape) => {
      const made = make(one.shape, one.dtype, 1 + (call.pick % 40));
      return one.packed && made.shape.length === 2 ? run('pack', { weight: made }).packed : made;
    };
    const given = Object.fromEntries(
      Object.entries(fields).map(([name, field], i) => {
        if (changed.includes(name)) return [name, build((('plain' in field ? call.scalars : call.tensors)[i % 8] ?? field) as Value, call)];
        return [name, 'tensor' in field ? valid(field.tensor) : 'list' in field ? field.list.map(valid) : field.plain];
      }),
    );
    succeeded.set(`tried ${op}`, 1);
    const result = run(op, given as Fields);
    succeeded.set(op, (succeeded.get(op) ?? 0) + 1);
    return result;
  },
};

const targets = [...nativeCalls, ...wrapperCalls];
const succeeded = new Map<string, number>();

function expectTyped(error: unknown, name: string): void {
  if (!(error instanceof MglmmError))
    throw new Error(`${name} failed with an error that is not typed: ${(error as Error)?.stack ?? error}`);
}

async function attempt(call: Call): Promise<void> {
  const target = call.seed % 2 === 0 ? variations : (targets[call.pick % targets.length] as (typeof targets)[number]);
  try {
    const result = target.run(call);
    if (result instanceof Promise || typeof (result as PromiseLike<unknown>)?.then === 'function') await result;
  } catch (error) {
    expectTyped(error, target.name);
  }
}

let limit = 0;
beforeAll(async () => {
  recorded = await recordCalls(async () => {
    for (const [name, example] of Object.entries(examples))
      await tidy(async () => {
        await example();
        await synchronize().catch((error) => assert.fail(`the example of ${name} fails: ${error}`));
      });
  });
  limit = memory().limitBytes;
  setMemoryLimit(256 << 20);
});
afterAll(() => setMemoryLimit(limit));

test(`${CALLS} random calls over ${targets.length} ops and wrappers yield only results and typed errors`, async () => {
  assert.ok(nativeCalls.length > 0 && wrapperCalls.length > 0);
  await fc.assert(
    fc.asyncProperty(fc.array(calls, { minLength: CALLS_A_RUN, maxLength: CALLS_A_RUN }), async (batch) => {
      await tidy(async () => {
        for (const call of batch) await attempt(call);
      });
      await synchronize().catch((error) => expectTyped(error, 'synchronize'));
    }),
    { numRuns: CALLS / CALLS_A_RUN, seed: Number(process.env.MGLMM_FUZZ_SEED ?? 1), endOnFailure: true },
  );
  const never = Object.keys(native.fields).filter((op) => !succeeded.has(op));
  assert.deepEqual(never, [], 'ops that no variation of an example reached');
  // The process still computes.
  using _scope = Scope.open();
  assert.deepEqual(Array.from(await tensor([1, 2]).read()), [1, 2]);
}, 300_000);
