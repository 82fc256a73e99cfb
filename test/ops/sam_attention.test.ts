import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import {
  backward,
  reshape,
  type SamAttentionPackedOptions,
  samAttention,
  samAttentionPacked,
  type Tensor,
  tensor,
  windowPartition,
  windowUnpartition,
} from '../../lib';
import { attentionInFloat64, expectAttention, tokensFirst } from '../support/attention';
import { displaced, randn, randnArray } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

/** With windows that are cut, attended to as maps of their own, and put back. */
function byParts(qkv: Tensor, relPosH: Tensor, relPosW: Tensor, options: SamAttentionPackedOptions & { window: number }): Tensor {
  const { heads, height, width, window, padding, softmaxScale } = options;
  const [batch, tokens, size] = qkv.shape as [number, number, number];
  const windows = windowPartition(reshape(qkv, [batch, height, width, size]), window, padding);
  const maps = reshape(windows, [windows.shape[0] as number, window * window, size]);
  const y = samAttentionPacked(maps, relPosH, relPosW, { heads, height: window, width: window, softmaxScale });
  const back = windowUnpartition(reshape(y, [windows.shape[0] as number, window, window, size / 3]), height, width);
  return reshape(back, [batch, tokens, size / 3]);
}

onEveryDevice('samAttention', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [batch, heads, height, width, headDim] of [
      [1, 1, 1, 1, 4],
      [2, 2, 5, 7, 8],
      [1, 2, 14, 14, 64],
      [1, 1, 3, 50, 80],
      [1, 1, 21, 9, 33],
      [1, 1, 130, 1, 16],
      [1, 2, 3, 64, 32], // a row is a tile of keys
      [1, 1, 2, 64, 80],
    ] as const)
      test(`agrees with float64: ${dtype}, ${batch} x ${heads} heads, ${height} x ${width} tokens of ${headDim}`, async () => {
        const tokens = height * width;
        const [q, k, v] = [1, 2, 3].map((seed) => randn([batch, heads, tokens, headDim], seed, dtype)) as [Tensor, Tensor, Tensor];
        const [relPosH, relPosW] = [randn([2 * height - 1, headDim], 4, dtype), randn([2 * width - 1, headDim], 5, dtype)];
        const [qs, hs, ws] = [await q.read(), await relPosH.read(), await relPosW.read()];
        const bias = (b: number, head: number, i: number, j: number) => {
          const [row, column] = [Math.floor(i / width) - Math.floor(j / width) + height - 1, (i % width) - (j % width) + width - 1];
          let sum = 0;
          for (let d = 0; d < headDim; d++) {
            const x = qs[((b * heads + head) * tokens + i) * headDim + d] as number;
            sum += x * ((hs[row * headDim + d] as number) + (ws[column * headDim + d] as number));
          }
          return sum;
        };
        const one = { batch, heads, kvHeads: heads, queries: tokens, keys: tokens, headDim, bias };
        const expected = attentionInFloat64(one, qs, await k.read(), await v.read());
        // The bias sums headDim products of normals, unscaled: logits of size 6 sqrt(headDim).
        const y = samAttention(q, k, v, relPosH, relPosW, { height, width });
        await expectAttention(y, expected, headDim + tokens, 6 * Math.sqrt(headDim));
      });

  test('takes tables that begin anywhere', async () => {
    const [height, width, dim] = [6, 8, 64];
    const [q, k, v] = [1, 2, 3].map((seed) => randn([1, 2, height * width, dim], seed, 'bf16')) as [Tensor, Tensor, Tensor];
    const tables = [randn([2 * height - 1, dim], 4, 'bf16'), randn([2 * width - 1, dim], 5, 'bf16')] as [Tensor, Tensor];
    const expected = await samAttention(q, k, v, ...tables, { height, width }).read();
    const y = await samAttention(q, k, v, displaced(tables[0]), displaced(tables[1]), { height, width }).read();
    // Means of v, of about 1 at most 4: two roundings to bf16 apart.
    for (const [i, value] of y.entries()) assert.ok(Math.abs(value - (expected[i] as number)) < 4 * 2 ** -7, `${i}`);
  });

  test('the packed form gives the same, and the same gradients', async () => {
    const [batch, heads, height, width, dim] = [2, 3, 4, 5, 6];
    const shape = [batch, heads, height * width, dim];
    const parts = [1, 2, 3].map((seed) => randnArray(batch * heads * height * width * dim, seed));
    const [relPosH, relPosW] = [randn([2 * height - 1, dim], 4), randn([2 * width - 1, dim], 5)];
    const separate = parts.map((part) => tensor(part, shape)) as [Tensor, Tensor, Tensor];
    const rows = parts.map((part) => tokensFirst(part, shape));
    const last = heads * dim;
    const joined = Float32Array.from({ length: 3 * parts[0]!.length }, (_, i) => {
      const [token, rest] = [Math.floor(i / (3 * last)), i % (3 * last)];
      return rows[Math.floor(rest / last)]![token * last + (rest % last)] as number;
    });
    const qkv = tensor(joined, [batch, height * width, 3 * last]);
    const dy = randnArray(parts[0]!.length, 6);
    const gradients = async (y: Tensor, upstream: Tensor, ...inputs: Tensor[]) => {
      backward(y, upstream);
      return Promise.all(
        inputs.map(async (input) => {
          const values = (await input.grad!.read()) as Float32Array;
          input.grad!.dispose();
          input.grad = undefined;
          return values;
        }),
      );
    };
    for (const one of [...separate, qkv, relPosH, relPosW]) one.requiresGrad = true;
    const y = samAttention(...separate, relPosH, relPosW, { height, width, softmaxScale: 0.3 });
    const packed = samAttentionPacked(qkv, relPosH, relPosW, { heads, height, width, softmaxScale: 0.3 });
    assert.deepEqual(packed.shape, [batch, height * width, last]);
    assert.deepEqual(await packed.read(), tokensFirst((await y.read()) as Float32Array, shape));
    const [dq, dk, dv, ...tables] = await gradients(y, tensor(dy, shape), ...separate, relPosH, relPosW);
    const [dqkv, ...packedTables] = await gradients(packed, tensor(tokensFirst(dy, shape), packed.shape), qkv, relPosH, relPosW);
    assert.deepEqual(packedTables, tables);
    for (const [index, part] of [dq, dk, dv].entries()) {
      const expected = tokensFirst(part as Float32Array, shape);
      expected.forEach((value, i) => {
        assert.equal(dqkv![Math.floor(i / last) * 3 * last + index * last + (i % last)], value);
      });
    }
  });

  test('gradient agrees with central differences', () =>
    expectGradient(
      (q, k, v, h, w) => samAttention(q, k, v, h, w, { height: 2, width: 3 }),
      [1, 2, 6, 3],
      [1, 2, 6, 3],
      [1, 2, 6, 3],
      [3, 3],
      [5, 3],
    ));

  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [batch, heads, height, width, window, headDim] of [
      [2, 2, 5, 7, 3, 32],
      [2, 2, 7, 9, 4, 32],
      [1, 2, 14, 14, 10, 64],
      [1, 1, 2, 3, 5, 80],
      [2, 3, 6, 4, 2, 33],
      [1, 1, 17, 16, 14, 80],
    ] as const)
      for (const padded of [false, true])
        test(`windows of ${window} ${padded ? 'padded' : 'with zeros'} as if each were a map: ${dtype}, ${batch} x ${heads} heads, ${height} x ${width} tokens of ${headDim}`, async () => {
          const size = 3 * heads * headDim;
          const qkv = randn([batch, height * width, size], 1, dtype);
          const [relPosH, relPosW] = [randn([2 * window - 1, headDim], 2, dtype), randn([2 * window - 1, headDim], 3, dtype)];
          const padding = padded ? randn([size], 4, dtype) : undefined;
          const options = { heads, height, width, window, padding };
          const y = samAttentionPacked(qkv, relPosH, relPosW, options);
          assert.deepEqual(y.shape, [batch, height * width, size / 3]);
          assert.deepEqual(await y.read(), await byParts(qkv, relPosH, relPosW, options).read());
        });

  for (const dtype of ['f32', 'bf16'] as const)
    for (const trained of [
      [true, true, true, true],
      [false, true, false, false],
      [false, false, false, true],
      [true, false, true],
    ])
      test(`gradients of windows as if each were a map: ${dtype}, ${trained}`, async () => {
        const inputs = () => [[2, 35, 36], [5, 6], [5, 6], [36]].slice(0, trained.length).map((shape, i) => randn(shape, i, dtype));
        const gradients = async (attend: typeof byParts) => {
          const given = inputs();
          for (const [i, input] of given.entries()) input.requiresGrad = trained[i] as boolean;
          const [qkv, relPosH, relPosW, padding] = given as [Tensor, Tensor, Tensor, Tensor?];
          const options = { heads: 2, height: 5, width: 7, window: 3, padding, softmaxScale: 0.3 };
          backward(attend(qkv, relPosH, relPosW, options), randn([2, 35, 12], 9, dtype));
          // Of zeros, what is beyond the map may give another sign.
          return Promise.all(given.map(async ({ grad }) => grad && Array.from(await grad.read(), (value) => (value as number) + 0)));
        };
        const found = await gradients(samAttentionPacked);
        assert.deepEqual(
          Array.from(found, (gradient) => gradient !== undefined),
          trained,
        );
        assert.deepEqual(found, await gradients(byParts));
      });

  test('gradient of windows agrees with central differences', async () => {
    const options = { heads: 1, height: 2, width: 3, window: 2 };
    const shapes = [[1, 6, 6], [3, 2], [3, 2], [6]] as const;
    await expectGradient((qkv, h, w, padding) => samAttentionPacked(qkv, h, w, { ...options, padding }), ...shapes);
    await expectGradient((qkv, h, w) => samAttentionPacked(qkv, h, w, options), ...shapes.slice(0, 3));
  });

  test('does nothing where there is nothing', async () => {
    const [none, h, w] = [randn([0, 2, 6, 3], 1), randn([3, 3], 1), randn([5, 3], 1)];
    h.requiresGrad = true;
    const y = samAttention(none, none, none, h, w, { height: 2, width: 3 });
    assert.equal((await y.read()).length, 0);
    backward(y, tensor(new Float32Array(0), [0, 2, 6, 3]));
    assert.deepEqual(await h.grad!.read(), new Float32Array(9));
    h.grad!.dispose();
    const nothing = samAttentionPacked(randn([0, 6, 18], 1), w, w, { heads: 2, height: 2, width: 3, window: 3 });
    assert.deepEqual([nothing.shape, (await nothing.read()).length], [[0, 6, 6], 0]);
  });

  const x = () => randn([1, 2, 6, 3], 1);
  const [h, w] = [() => randn([3, 3], 1), () => randn([5, 3], 1)];
  const map = { height: 2, width: 3 };
  const qkv = () => randn([1, 6, 18], 1);
  const messages: [string, string, () => unknown][] = [
    [
      'ShapeError',
      'samAttention: k is [1, 2, 6, 4], expected [1, 2, 6, 3], the shape of q',
      () => samAttention(x(), randn([1, 2, 6, 4], 1), x(), h(), w(), map),
    ],
    [
      'ArgumentError',
      'samAttention: height is 0, expected at least 1',
      () => samAttention(x(), x(), x(), h(), w(), { height: 0, width: 3 }),
    ],
    [
      'ArgumentError',
      'samAttention: width is 0, expected at least 1',
      () => samAttention(x(), x(), x(), h(), w(), { height: 2, width: 0 }),
    ],
    [
      'ShapeError',
      'samAttention: q is [1, 2, 6, 3], expected 8 along axis 2, height * width',
      () => samAttention(x(), x(), x(), h(), w(), { height: 2, width: 4 }),
    ],
    [
      'DtypeError',
      'samAttention: relPosH is bf16, expected f32, the dtype of q',
      () => samAttention(x(), x(), x(), randn([3, 3], 1, 'bf16'), w(), map),
    ],
    [
      'ShapeError',
      'samAttention: relPosH is [5, 3], expected [3, 3], [2 * height - 1, headDim]',
      () => samAttention(x(), x(), x(), w(), w(), map),
    ],
    [
      'DtypeError',
      'samAttention: relPosW is bf16, expected f32, the dtype of q',
      () => samAttention(x(), x(), x(), h(), randn([5, 3], 1, 'bf16'), map),
    ],
    [
      'ShapeError',
      'samAttention: relPosW is [3, 3], expected [5, 3], [2 * width - 1, headDim]',
      () => samAttention(x(), x(), x(), h(), h(), map),
    ],
    [
      'ArgumentError',
      'samAttention: softmaxScale is -1, expected a finite number above 0',
      () => samAttention(x(), x(), x(), h(), w(), { ...map, softmaxScale: -1 }),
    ],
    [
      'ArgumentError',
      'samAttention: height * width is 4194305, expected at most 2^22',
      () => {
        const none = randn([1, 0, 2 ** 22 + 1, 3], 1);
        return samAttention(none, none, none, h(), w(), { height: 2 ** 22 + 1, width: 1 });
      },
    ],
    [
      'DtypeError',
      'samAttentionPacked: qkv is i32, expected f32, bf16 or f16',
      () => samAttentionPacked(tensor([1], [1], 'i32'), h(), w(), { ...map, heads: 2 }),
    ],
    [
      'ShapeError',
      'samAttentionPacked: qkv is [4], expected [batch, height * width, 3 * heads * headDim]',
      () => samAttentionPacked(randn([4], 1), h(), w(), { ...map, heads: 2 }),
    ],
    [
      'ArgumentError',
      'samAttentionPacked: heads is 0, expected at least 1',
      () => samAttentionPacked(qkv(), h(), w(), { ...map, heads: 0 }),
    ],
    [
      'ArgumentError',
      'samAttentionPacked: qkv is [1, 6, 18], expected a last size of 3 * 4 * headDim',
      () => samAttentionPacked(qkv(), h(), w(), { ...map, heads: 4 }),
    ],
    [
      'ArgumentError',
      'samAttentionPacked: headDim is 257, expected 1 to 256',
      () => samAttentionPacked(randn([1, 6, 3 * 257], 1), h(), w(), { ...map, heads: 1 }),
    ],
    [
      'ArgumentError',
      'samAttentionPacked: window is -1, expected at least 1, or 0 for the whole map',
      () => samAttentionPacked(qkv(), h(), w(), { ...map, heads: 2, window: -1 }),
    ],
    [
      'ArgumentError',
      'samAttentionPacked: window * window is 4198401, expected at most 2^22',
      () => samAttentionPacked(qkv(), h(), w(), { ...map, heads: 2, window: 2049 }),
    ],
    [
      'ShapeError',
      'samAttentionPacked: relPosH is [3, 3], expected [5, 3], [2 * window - 1, headDim]',
      () => samAttentionPacked(qkv(), h(), w(), { ...map, heads: 2, window: 3 }),
    ],
    [
      'ShapeError',
      'samAttentionPacked: relPosW is [5, 3], expected [3, 3], [2 * window - 1, headDim]',
      () => samAttentionPacked(qkv(), h(), w(), { ...map, heads: 2, window: 2 }),
    ],
    [
      'ArgumentError',
      'samAttentionPacked: padding is given, expected a window beside it',
      () => samAttentionPacked(qkv(), h(), w(), { ...map, heads: 2, padding: randn([18], 1) }),
    ],
    [
      'DtypeError',
      'samAttentionPacked: padding is bf16, expected f32, the dtype of qkv',
      () => samAttentionPacked(qkv(), h(), h(), { ...map, heads: 2, window: 2, padding: randn([18], 1, 'bf16') }),
    ],
    [
      'ShapeError',
      'samAttentionPacked: padding is [6], expected [18], the last size of qkv',
      () => samAttentionPacked(qkv(), h(), h(), { ...map, heads: 2, window: 2, padding: randn([6], 1) }),
    ],
  ];
  for (const [name, message, body] of messages) test(message, () => assert.throws(body, { name, message }));
});
