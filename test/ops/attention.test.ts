import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { attention, backward, type Dtype, type Tensor, tensor } from '../../lib';
import { attentionInFloat64, expectAttention, tokensFirst } from '../support/attention';
import { assertWithin } from '../support/close';
import { countOf, randn, randnArray, rounded } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

const dtypes = ['f32', 'bf16', 'f16'] as const;
const ones = (count: number) => new Float32Array(count).fill(1);

onEveryDevice('attention', () => {
  // Tails in every loop: lanes of queries, blocks of keys, tiles of both, headDim below, at and above whole vectors.
  const sizes = [
    { batch: 2, heads: 3, kvHeads: 3, queries: 5, keys: 7, headDim: 8 },
    { batch: 1, heads: 2, kvHeads: 2, queries: 67, keys: 131, headDim: 80 },
    { batch: 1, heads: 1, kvHeads: 1, queries: 50, keys: 300, headDim: 64 },
    { batch: 1, heads: 4, kvHeads: 2, queries: 33, keys: 129, headDim: 128 },
    { batch: 2, heads: 6, kvHeads: 1, queries: 3, keys: 37, headDim: 16 },
    // Few queries to many keys, which are split.
    { batch: 1, heads: 1, kvHeads: 1, queries: 18, keys: 1100, headDim: 16 },
    { batch: 1, heads: 2, kvHeads: 1, queries: 1, keys: 259, headDim: 33 },
    { batch: 1, heads: 1, kvHeads: 1, queries: 4, keys: 70, headDim: 1 },
    { batch: 1, heads: 2, kvHeads: 2, queries: 18, keys: 270, headDim: 256 },
    // 64 queries and more in heads of 64 and 128: tiles of 128 of both, through a ring of four or three tiles.
    { batch: 1, heads: 1, kvHeads: 1, queries: 200, keys: 530, headDim: 64 },
    { batch: 1, heads: 1, kvHeads: 1, queries: 400, keys: 450, headDim: 64 },
    { batch: 1, heads: 1, kvHeads: 1, queries: 330, keys: 150, headDim: 64 },
    { batch: 2, heads: 4, kvHeads: 2, queries: 64, keys: 128, headDim: 64 },
    { batch: 1, heads: 2, kvHeads: 1, queries: 140, keys: 70, headDim: 128 },
    { batch: 1, heads: 1, kvHeads: 1, queries: 67, keys: 261, headDim: 128 },
    { batch: 1, heads: 1, kvHeads: 1, queries: 65, keys: 1100, headDim: 64 },
    { batch: 1, heads: 1, kvHeads: 1, queries: 129, keys: 830, headDim: 128 },
  ];
  for (const dtype of dtypes)
    for (const one of sizes)
      for (const causal of [false, true])
        test(`agrees with float64: ${dtype} ${JSON.stringify(one)} ${causal ? 'causal' : ''}`, async () => {
          const { batch, heads, kvHeads, queries, keys, headDim } = one;
          const q = randn([batch, heads, queries, headDim], 1, dtype);
          const k = randn([batch, kvHeads, keys, headDim], 2, dtype);
          const v = randn([batch, kvHeads, keys, headDim], 3, dtype);
          const sees = (_: number, i: number, j: number) => !causal || j <= i + keys - queries;
          const expected = attentionInFloat64({ ...one, sees }, await q.read(), await k.read(), await v.read());
          await expectAttention(attention(q, k, v, { causal }), expected, headDim + keys, 6);
        });

  for (const { dtype, queries, keys, headDim } of [
    { dtype: 'f32', queries: 35, keys: 41, headDim: 24 },
    { dtype: 'bf16', queries: 70, keys: 141, headDim: 64 },
    { dtype: 'f16', queries: 70, keys: 141, headDim: 128 },
  ] as const)
    test(`takes tokens before heads: ${dtype}`, async () => {
      const [queryShape, keyShape] = [
        [2, 4, queries, headDim],
        [2, 2, keys, headDim],
      ];
      const [q, k, v] = [queryShape, keyShape, keyShape].map((shape, i) =>
        randnArray(
          shape!.reduce((a, b) => a * b),
          i + 1,
        ),
      );
      const heads = (values: Float32Array, shape: number[]) => rounded(values, shape, dtype);
      const tokens = (values: Float32Array, shape: number[]) =>
        rounded(tokensFirst(values, shape), [shape[0]!, shape[2]!, shape[1]!, shape[3]!], dtype);
      const one = attention(heads(q!, queryShape!), heads(k!, keyShape!), heads(v!, keyShape!), { causal: true });
      const other = attention(tokens(q!, queryShape!), tokens(k!, keyShape!), tokens(v!, keyShape!), { causal: true, tokensFirst: true });
      assert.deepEqual(other.shape, [2, queries, 4, headDim]);
      assert.deepEqual(await other.read(), tokensFirst((await one.read()) as Float32Array, queryShape!));
    });

  for (const dtype of dtypes)
    for (const { queries, keys, kept, headDim } of [
      { queries: 20, keys: 90, kept: 75, headDim: 16 },
      { queries: 70, keys: 150, kept: 133, headDim: 64 },
    ])
      test(`hides masked keys, whatever they hold, as if they were not there: ${dtype}, ${queries} queries`, async () => {
        const shape = [1, 2, keys, headDim];
        const values = [randnArray(2 * keys * headDim, 2), randnArray(2 * keys * headDim, 3)].map((array) => {
          for (let head = 0; head < 2; head++) array.fill(Number.NaN, (head * keys + kept) * headDim, (head + 1) * keys * headDim);
          return array;
        });
        const short = values.map((array) =>
          rounded(Float32Array.from([...array].filter((value) => !Number.isNaN(value))), [1, 2, kept, headDim], dtype),
        );
        const q = randn([1, 2, queries, headDim], 1, dtype);
        const keyMask = tensor(
          Uint8Array.from({ length: keys }, (_, j) => (j < kept ? 1 : 0)),
          [1, keys],
        );
        const masked = attention(q, rounded(values[0]!, shape, dtype), rounded(values[1]!, shape, dtype), { keyMask });
        assert.deepEqual(await masked.read(), await attention(q, short[0]!, short[1]!).read());
      });

  for (const dtype of dtypes)
    test(`hides keys here and there, of each row of the batch its own: ${dtype}`, async () => {
      const one = { batch: 2, heads: 2, kvHeads: 1, queries: 66, keys: 270, headDim: 64 };
      const q = randn([2, 2, 66, 64], 1, dtype);
      const [k, v] = [randn([2, 1, 270, 64], 2, dtype), randn([2, 1, 270, 64], 3, dtype)];
      const hidden = (b: number, j: number) => (b === 0 ? j % 3 === 1 : j < 140);
      const keyMask = tensor(
        Uint8Array.from({ length: 2 * 270 }, (_, i) => (hidden(Math.floor(i / 270), i % 270) ? 0 : 1)),
        [2, 270],
      );
      const sees = (b: number, i: number, j: number) => j <= i + 270 - 66 && !hidden(b, j);
      const expected = attentionInFloat64({ ...one, sees }, await q.read(), await k.read(), await v.read());
      await expectAttention(attention(q, k, v, { causal: true, keyMask }), expected, 64 + 270, 6);
    });

  test('a query that sees no key gives 0 and no gradient', async () => {
    const [q, k, v] = [randn([2, 1, 5, 8], 1), randn([2, 1, 3, 8], 2), randn([2, 1, 3, 8], 3)];
    for (const one of [q, k, v]) one.requiresGrad = true;
    const keyMask = tensor(Uint8Array.from([1, 1, 1, 0, 0, 0]), [2, 3]);
    const y = attention(q, k, v, { causal: true, keyMask });
    const values = await y.read();
    assert.ok(values.slice(0, 2 * 8).every((value) => value === 0) && values.slice(5 * 8).every((value) => value === 0));
    assert.ok(values.slice(2 * 8, 5 * 8).some((value) => value !== 0));
    backward(y, tensor(ones(2 * 5 * 8), y.shape));
    const dq = await q.grad!.read();
    assert.ok(dq.slice(0, 2 * 8).every((value) => value === 0) && dq.slice(5 * 8).every((value) => value === 0));
    assert.ok((await k.grad!.read()).slice(3 * 8).every((value) => value === 0));
    assert.ok((await v.grad!.read()).slice(3 * 8).every((value) => value === 0));
    for (const one of [q, k, v]) one.grad!.dispose();
  });

  test('gradient agrees with central differences, causal with shared heads', () =>
    expectGradient((q, k, v) => attention(q, k, v, { causal: true }), [1, 4, 5, 6], [1, 2, 7, 6], [1, 2, 7, 6]));

  test('gradient agrees with central differences, with a mask and a scale, tokens first', () => {
    const keyMask = tensor(Uint8Array.from([1, 0, 1, 1, 1, 1, 0, 1]), [2, 4]);
    return expectGradient(
      (q, k, v) => attention(q, k, v, { keyMask, softmaxScale: 0.7, tokensFirst: true }),
      [2, 3, 2, 4],
      [2, 4, 2, 4],
      [2, 4, 2, 4],
    );
  });

  // Heads of whole and of broken fragments; tiles that are full, ragged and seen by nobody; queries that see nothing.
  const gradientCases = [
    { batch: 1, heads: 2, kvHeads: 2, queries: 70, keys: 150, headDim: 40, causal: true },
    { batch: 2, heads: 4, kvHeads: 2, queries: 67, keys: 131, headDim: 32 },
    { batch: 1, heads: 2, kvHeads: 2, queries: 67, keys: 131, headDim: 16, tokensFirst: true },
    { batch: 1, heads: 1, kvHeads: 1, queries: 18, keys: 1100, headDim: 16 },
    { batch: 1, heads: 2, kvHeads: 1, queries: 133, keys: 70, headDim: 64, causal: true, tokensFirst: true },
    { batch: 2, heads: 1, kvHeads: 1, queries: 3, keys: 90, headDim: 80, masked: true, tokensFirst: true, softmaxScale: 0.3 },
    { batch: 2, heads: 3, kvHeads: 1, queries: 65, keys: 131, headDim: 128, causal: true, masked: true },
  ];
  for (const dtype of ['bf16', 'f16'] as const)
    for (const one of gradientCases)
      test(`gradient in ${dtype} is that in f32 of the same values: ${JSON.stringify(one)}`, async () => {
        const { batch, heads, kvHeads, queries, keys, headDim, masked, ...options } = one;
        const shapeOf = (heads: number, tokens: number) =>
          options.tokensFirst ? [batch, tokens, heads, headDim] : [batch, heads, tokens, headDim];
        const shapes = [shapeOf(heads, queries), shapeOf(kvHeads, keys), shapeOf(kvHeads, keys)];
        // Two of three keys are seen, and none in the last row of the batch. What is hidden is NaN.
        const seen = Uint8Array.from({ length: batch * keys }, (_, i) => (i < (batch - 1) * keys && (i % keys) % 3 > 0 ? 1 : 0));
        const keyMask = masked ? tensor(seen, [batch, keys]) : undefined;
        const rowSize = options.tokensFirst ? kvHeads * headDim : headDim;
        const keyOf = (i: number) => Math.floor(i / (kvHeads * keys * headDim)) * keys + (Math.floor(i / rowSize) % keys);
        const hide = (values: Float32Array) => values.map((value, i) => (seen[keyOf(i)] ? value : Number.NaN));
        const values = shapes.map((shape, i) => {
          const all = randnArray(countOf(shape), i + 1);
          return masked && i > 0 ? hide(all) : all;
        });
        const gradients = async (as: Dtype) => {
          const inputs = await Promise.all(
            shapes.map(async (shape, i) => {
              const small = rounded(values[i]!, shape, dtype);
              const input = as === dtype ? small : tensor((await small.read()) as Float32Array, shape);
              input.requiresGrad = true;
              return input;
            }),
          );
          const y = attention(inputs[0]!, inputs[1]!, inputs[2]!, { ...options, keyMask });
          const dy = randn(y.shape, 9, dtype);
          backward(y, as === dtype ? dy : tensor((await dy.read()) as Float32Array, y.shape));
          return Promise.all(inputs.map((input) => input.grad!.read()));
        };
        const [small, exact] = [await gradients(dtype), await gradients('f32')];
        // y is stored in the small dtype, so sum(dy * y) errs by its epsilon; the results are rounded once more. Where tensor
        // cores round probabilities and gradients of logits (docs/numerics.md), that is half as much, and averages out.
        const unit = dtype === 'bf16' ? 2 ** -7 : 2 ** -10;
        for (const [index, values] of exact.entries()) {
          let largest = 0;
          for (const value of values) largest = Math.max(largest, Math.abs(value));
          assertWithin(small[index]!, values, (wanted) => unit * (largest + Math.abs(wanted)), { shape: shapes[index]!, dtype });
        }
      });

  for (const dtype of dtypes)
    test(`a query that sees one key gets no gradient, to the last bit: ${dtype}`, async () => {
      const shape = [1, 2, 70, 64];
      const [q, k, v] = [1, 2, 3].map((seed) => randn(shape, seed, dtype)) as [Tensor, Tensor, Tensor];
      q.requiresGrad = true;
      const y = attention(q, k, v, { causal: true });
      backward(y, randn(shape, 4, dtype));
      const dq = await q.grad!.read();
      for (const head of [0, 1]) {
        const row = dq.slice(head * 70 * 64, head * 70 * 64 + 2 * 64);
        assert.ok(row.slice(0, 64).every((value) => value === 0) && row.slice(64).some((value) => value !== 0));
      }
      q.grad!.dispose();
    });

  for (const dtype of dtypes)
    test(`a gradient is the same whichever others are asked for: ${dtype}`, async () => {
      const shape = [1, 1, 66, 32];
      const gradients = async (...asked: boolean[]) => {
        const inputs = asked.map((requiresGrad, i) => Object.assign(randn(shape, i + 1, dtype), { requiresGrad }));
        const y = attention(inputs[0]!, inputs[1]!, inputs[2]!, { causal: true });
        backward(y, randn(shape, 4, dtype));
        return Promise.all(inputs.map((input) => input.grad?.readBits()));
      };
      const all = await gradients(true, true, true);
      for (const alone of [0, 1, 2])
        assert.deepEqual((await gradients(alone === 0, alone === 1, alone === 2))[alone], all[alone], `gradient of input ${alone}`);
    });

  test('does nothing where there is nothing', async () => {
    assert.equal((await attention(randn([0, 2, 3, 4], 1), randn([0, 2, 5, 4], 1), randn([0, 2, 5, 4], 1)).read()).length, 0);
    assert.equal((await attention(randn([1, 2, 0, 4], 1), randn([1, 2, 5, 4], 1), randn([1, 2, 5, 4], 1)).read()).length, 0);
    assert.equal((await attention(randn([1, 0, 3, 4], 1), randn([1, 0, 5, 4], 1), randn([1, 0, 5, 4], 1)).read()).length, 0);
    assert.deepEqual(await attention(randn([1, 1, 2, 2], 1), randn([1, 1, 0, 2], 1), randn([1, 1, 0, 2], 1)).read(), new Float32Array(4));
  });

  test('NaN stays visible', async () => {
    const q = tensor([Number.NaN, 1, 1, 1], [1, 1, 2, 2]);
    const values = await attention(q, randn([1, 1, 40, 2], 1), randn([1, 1, 40, 2], 2)).read();
    assert.ok(Number.isNaN(values[0]) && Number.isFinite(values[2]));
  });

  const x = () => randn([1, 2, 3, 4], 1);
  const messages: [string, string, () => unknown][] = [
    ['DtypeError', 'attention: q is i32, expected f32, bf16 or f16', () => attention(tensor(new Int32Array(24), [1, 2, 3, 4]), x(), x())],
    ['ShapeError', 'attention: q is [4], expected [batch, heads, queries, headDim]', () => attention(randn([4], 1), x(), x())],
    [
      'ShapeError',
      'attention: q is [4], expected [batch, queries, heads, headDim]',
      () => attention(randn([4], 1), x(), x(), { tokensFirst: true }),
    ],
    ['DtypeError', 'attention: k is bf16, expected f32, the dtype of q', () => attention(x(), randn([1, 2, 3, 4], 1, 'bf16'), x())],
    ['ShapeError', 'attention: k is [4], expected [batch, kvHeads, keys, headDim]', () => attention(x(), randn([4], 1), x())],
    [
      'ShapeError',
      'attention: k is [2, 2, 3, 4], expected 1 along axis 0, the batch of q',
      () => attention(x(), randn([2, 2, 3, 4], 1), x()),
    ],
    [
      'ShapeError',
      'attention: k is [1, 2, 3, 5], expected 4 along axis 3, the headDim of q',
      () => attention(x(), randn([1, 2, 3, 5], 1), x()),
    ],
    [
      'ShapeError',
      'attention: v is [1, 2, 4, 4], expected [1, 2, 3, 4], the shape of k',
      () => attention(x(), x(), randn([1, 2, 4, 4], 1)),
    ],
    ['DtypeError', 'attention: v is f16, expected f32, the dtype of k', () => attention(x(), x(), randn([1, 2, 3, 4], 1, 'f16'))],
    [
      'ArgumentError',
      'attention: heads is 2, expected a multiple of the 3 heads of k',
      () => attention(x(), randn([1, 3, 3, 4], 1), randn([1, 3, 3, 4], 1)),
    ],
    [
      'ArgumentError',
      'attention: headDim is 257, expected 1 to 256',
      () => attention(randn([1, 1, 1, 257], 1), randn([1, 1, 1, 257], 1), randn([1, 1, 1, 257], 1)),
    ],
    [
      'DtypeError',
      'attention: keyMask is i32, expected u8',
      () => attention(x(), x(), x(), { keyMask: tensor(new Int32Array(3), [1, 3]) }),
    ],
    [
      'ShapeError',
      'attention: keyMask is [1, 2], expected [1, 3], [batch, keys]',
      () => attention(x(), x(), x(), { keyMask: tensor(new Uint8Array(2), [1, 2]) }),
    ],
    [
      'ArgumentError',
      'attention: softmaxScale is -1, expected a finite number above 0',
      () => attention(x(), x(), x(), { softmaxScale: -1 }),
    ],
    [
      'ArgumentError',
      'attention: keys is 1073741825, expected at most 2^30',
      () => attention(randn([1, 0, 3, 4], 1), randn([1, 0, 2 ** 30 + 1, 4], 1), randn([1, 0, 2 ** 30 + 1, 4], 1)),
    ],
    [
      'ArgumentError',
      'attention: queries is 1073741825, expected at most 2^30',
      () => attention(randn([1, 0, 2 ** 30 + 1, 4], 1), randn([1, 0, 3, 4], 1), randn([1, 0, 3, 4], 1)),
    ],
  ];
  for (const [name, message, body] of messages) test(message, () => assert.throws(body, { name, message }));
});
