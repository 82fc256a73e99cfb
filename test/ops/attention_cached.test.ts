import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { attentionCached, type Dtype, rope, slice, type Tensor, tensor } from '../../lib';
import { attentionInFloat64, expectAttention, tokensFirst } from '../support/attention';
import { randn, randnArray, rounded } from '../support/data';
import { onEveryDevice } from '../support/devices';

const i32 = (...values: number[]) => tensor(values, [values.length], 'i32');

interface Row {
  offset: number;
  length: number;
}

/** Rows `tokens` long, each with its own values, the same whatever batch it is in. */
function batchOf(
  rows: readonly Row[],
  seeds: readonly number[],
  tokens: number,
  capacity: number,
  kvHeads: number,
  heads: number,
  dtype: Dtype,
) {
  const dim = 32;
  const values = (salt: number, heads: number, length: number) => {
    const all = new Float32Array(rows.length * heads * length * dim);
    for (const [b, seed] of seeds.entries()) {
      // The first `length` real tokens of each head are the same numbers whatever the padding.
      for (let head = 0; head < heads; head++)
        all.set(randnArray(length * dim, seed * 1000 + salt * 100 + head), (b * heads + head) * length * dim);
    }
    return rounded(all, [rows.length, heads, length, dim], dtype);
  };
  return {
    q: values(1, heads, tokens),
    k: values(2, kvHeads, tokens),
    v: values(3, kvHeads, tokens),
    keyCache: values(4, kvHeads, capacity),
    valueCache: values(5, kvHeads, capacity),
    offsets: i32(...rows.map((row) => row.offset)),
    lengths: i32(...rows.map((row) => row.length)),
    dim,
  };
}

/** The rows of a cache, `[batch, kvHeads, capacity, dim]`, as pages that `table` [batch, capacity / pageTokens] names; the others are NaN. */
async function paged(cache: Tensor, table: readonly (readonly number[])[], pages: number, pageTokens: number): Promise<Tensor> {
  const [, heads, capacity, dim] = cache.shape as [number, number, number, number];
  const [from, to] = [await cache.read(), new Float32Array(pages * heads * pageTokens * dim).fill(Number.NaN)];
  for (const [b, row] of table.entries())
    for (const [i, page] of row.entries())
      for (let head = 0; head < heads && page >= 0; head++) {
        const begin = ((b * heads + head) * capacity + i * pageTokens) * dim;
        to.set(from.subarray(begin, begin + pageTokens * dim), (page * heads + head) * pageTokens * dim);
      }
  return rounded(to, [pages, heads, pageTokens, dim], cache.dtype);
}

onEveryDevice('attentionCached', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const) {
    test(`appends and agrees with float64: ${dtype}`, async () => {
      const [heads, kvHeads, tokens, capacity] = [4, 2, 7, 60];
      const rows = [
        { offset: 0, length: 7 },
        { offset: 41, length: 3 },
        { offset: 53, length: 7 },
        { offset: 20, length: 0 },
      ];
      const one = batchOf(rows, [1, 2, 3, 4], tokens, capacity, kvHeads, heads, dtype);
      const before = [await one.keyCache.read(), await one.valueCache.read()].map((array) => array.slice());
      const y = attentionCached(one.q, one.k, one.v, one.keyCache, one.valueCache, one.offsets, { lengths: one.lengths });
      const expectedCaches = await Promise.all(
        [one.k, one.v].map(async (added, which) => {
          const cache = before[which]!;
          const values = await added.read();
          for (const [b, { offset, length }] of rows.entries())
            for (let head = 0; head < kvHeads; head++) {
              const from = (b * kvHeads + head) * tokens * one.dim;
              cache.set(values.subarray(from, from + length * one.dim), ((b * kvHeads + head) * capacity + offset) * one.dim);
            }
          return cache;
        }),
      );
      assert.deepEqual(await one.keyCache.read(), expectedCaches[0]);
      assert.deepEqual(await one.valueCache.read(), expectedCaches[1]);
      const sees = (b: number, i: number, j: number) => i < rows[b]!.length && j <= rows[b]!.offset + i;
      const expected = attentionInFloat64(
        { batch: 4, heads, kvHeads, queries: tokens, keys: capacity, headDim: one.dim, sees },
        await one.q.read(),
        expectedCaches[0]!,
        expectedCaches[1]!,
      );
      await expectAttention(y, expected, 100, 6);
    });

    for (const [heads, kvHeads, tokens] of [
      [2, 2, 1],
      [4, 1, 9],
      [2, 2, 100],
    ] as const)
      test(`rows of a ragged batch are single runs, bit for bit: ${dtype}, ${heads} heads on ${kvHeads}, ${tokens} tokens`, async () => {
        const capacity = 400;
        const rows = [tokens, 1, Math.ceil(tokens / 2), tokens].map((length, b) => ({ offset: [0, 290, 130, 251][b]!, length }));
        const seeds = rows.map((_, b) => b + 1);
        const all = batchOf(rows, seeds, tokens, capacity, kvHeads, heads, dtype);
        const together = await attentionCached(all.q, all.k, all.v, all.keyCache, all.valueCache, all.offsets, {
          lengths: all.lengths,
        }).readBits();
        for (const [b, row] of rows.entries()) {
          const one = batchOf([row], [seeds[b]!], tokens, capacity, kvHeads, heads, dtype);
          // Alone, the row has no padding: its tokens are the first ones of each head.
          const cut = async (tensor: Tensor, heads: number) => {
            const values = (await tensor.read()) as Float32Array;
            const kept = new Float32Array(heads * row.length * one.dim);
            for (let head = 0; head < heads; head++)
              kept.set(values.subarray(head * tokens * one.dim, (head * tokens + row.length) * one.dim), head * row.length * one.dim);
            return rounded(kept, [1, heads, row.length, one.dim], dtype);
          };
          const [q, k, v] = [await cut(one.q, heads), await cut(one.k, kvHeads), await cut(one.v, kvHeads)];
          const alone = await attentionCached(q, k, v, one.keyCache, one.valueCache, one.offsets).readBits();
          for (let head = 0; head < heads; head++) {
            const from = (b * heads + head) * tokens * one.dim;
            assert.deepEqual(
              together.slice(from, from + row.length * one.dim),
              alone.slice(head * row.length * one.dim, (head + 1) * row.length * one.dim),
              `row ${b}, head ${head}`,
            );
            assert.ok(together.slice(from + row.length * one.dim, from + tokens * one.dim).every((bits) => bits === 0));
          }
        }
      });
  }

  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [tokens, dim] of [
      [1, 64],
      [9, 34],
      [5, 256],
    ] as const)
      test(`turns as rope does before, bit for bit: ${dtype}, ${tokens} tokens of ${dim}`, async () => {
        const [q, k, v] = [
          randn([3, tokens, 6, dim], 1, dtype),
          randn([3, tokens, 2, dim], 2, dtype),
          randn([3, tokens, 2, dim], 3, dtype),
        ];
        const caches = () => [randn([3, 2, 90, dim], 4, dtype), randn([3, 2, 90, dim], 5, dtype)] as const;
        const [offsets, lengths] = [[0, 81, 17], i32(tokens, tokens, tokens - 1)];
        const options = { lengths, tokensFirst: true };
        const positions = tensor(
          offsets.flatMap((offset) => Array.from({ length: tokens }, (_, i) => offset + i)),
          [3, tokens],
          'i32',
        );
        const turned = (x: Tensor) => rope(x, positions, { base: 500, tokensFirst: true });
        const [one, other] = [caches(), caches()];
        const expected = attentionCached(turned(q), turned(k), v, ...one, i32(...offsets), options);
        const y = attentionCached(q, k, v, ...other, i32(...offsets), { ...options, ropeBase: 500 });
        assert.deepEqual(await y.readBits(), await expected.readBits());
        for (const which of [0, 1] as const) assert.deepEqual(await other[which].readBits(), await one[which].readBits());
      });

  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [heads, tokens, dim, pageTokens] of [
      [4, 1, 64, 64],
      [2, 1, 34, 128],
      [8, 1, 128, 64],
      [4, 7, 80, 64],
      [2, 70, 32, 64],
    ] as const)
      test(`pages in any order give what one behind another does, bit for bit: ${dtype}, ${heads} heads, ${tokens} tokens of ${dim}, pages of ${pageTokens}`, async () => {
        const [kvHeads, capacity, pages] = [2, 3 * pageTokens, 8];
        // What a row does not reach has no page.
        const table = [
          [3, 7, -1],
          [5, -1, 40],
          [0, 6, 1],
        ];
        const offsets = [2 * pageTokens - tokens, 0, capacity - tokens];
        const lengths = i32(tokens, 0, tokens);
        const [q, k, v] = [
          randn([3, heads, tokens, dim], 1, dtype),
          randn([3, kvHeads, tokens, dim], 2, dtype),
          randn([3, kvHeads, tokens, dim], 3, dtype),
        ];
        const whole = [randn([3, kvHeads, capacity, dim], 4, dtype), randn([3, kvHeads, capacity, dim], 5, dtype)] as const;
        const known = table.map((row) => row.map((page) => (page < pages ? page : -1)));
        const inPages = [await paged(whole[0], known, pages, pageTokens), await paged(whole[1], known, pages, pageTokens)] as const;
        const expected = attentionCached(q, k, v, ...whole, i32(...offsets), { lengths, ropeBase: 100 });
        const pageTable = tensor(table.flat(), [3, 3], 'i32');
        const y = attentionCached(q, k, v, ...inPages, i32(...offsets), { lengths, ropeBase: 100, pageTable });
        assert.deepEqual(await y.readBits(), await expected.readBits());
        for (const which of [0, 1] as const) {
          const after = await paged(whole[which], known, pages, pageTokens);
          assert.deepEqual(await inPages[which].readBits(), await after.readBits());
        }
      });

  test('rows read pages that they share', async () => {
    const [q, kv] = [(seed: number) => randn([2, 4, 3, 32], seed), (seed: number) => randn([2, 2, 3, 32], seed)];
    const caches = () => [randn([4, 2, 64, 32], 4), randn([4, 2, 64, 32], 5)] as const;
    const pageTable = tensor([2, 0, 2, 3], [2, 2], 'i32');
    const together = await attentionCached(q(1), kv(2), kv(3), ...caches(), i32(70, 64), { pageTable }).readBits();
    const apart = (row: number, offset: number) => {
      const one = (x: Tensor) => slice(x, 0, row, row + 1);
      const options = { pageTable: slice(pageTable, 0, row, row + 1) };
      return attentionCached(one(q(1)), one(kv(2)), one(kv(3)), ...caches(), i32(offset), options).readBits();
    };
    assert.deepEqual([...together], [...(await apart(0, 70)), ...(await apart(1, 64))]);
  });

  test('a page that the cache does not have is an error of the stream', async () => {
    const kv = (seed: number) => randn([2, 2, 3, 32], seed);
    for (const page of [-1, 3, 2 ** 31 - 1]) {
      const pageTable = tensor([0, 1, 2, page], [2, 2], 'i32');
      const call = (offset: number) =>
        attentionCached(kv(1), kv(2), kv(3), randn([3, 2, 64, 32], 4), randn([3, 2, 64, 32], 5), i32(62, offset), { pageTable }).read();
      await assert.rejects(call(62), {
        name: 'ArgumentError',
        message: `attentionCached: pageTable[1, 1] is ${page}, expected 0 to 2, as the cache has 3 pages`,
      });
      assert.equal((await call(61)).length, 2 * 2 * 3 * 32);
    }
    const pageTable = tensor([0, 1], [2, 1], 'i32');
    await assert.rejects(
      attentionCached(kv(1), kv(2), kv(3), randn([3, 2, 64, 32], 4), randn([3, 2, 64, 32], 5), i32(0, 62), { pageTable }).read(),
      { message: 'attentionCached: offsets[1] is 62, expected 0 to 61, as the cache holds 64 tokens and 3 are new' },
    );
  });

  test('takes tokens before heads', async () => {
    const shape = [2, 2, 5, 8];
    const arrays = [1, 2, 3].map((seed) => randnArray(160, seed));
    const caches = () => [randn([2, 2, 9, 8], 4), randn([2, 2, 9, 8], 5)] as const;
    const [q, k, v] = arrays.map((array) => tensor(array, shape)) as [Tensor, Tensor, Tensor];
    const one = (await attentionCached(q, k, v, ...caches(), i32(0, 4)).read()) as Float32Array;
    const [q2, k2, v2] = arrays.map((array) => tensor(tokensFirst(array, shape), [2, 5, 2, 8])) as [Tensor, Tensor, Tensor];
    const lengths = i32(5, 5);
    const other = attentionCached(q2, k2, v2, ...caches(), i32(0, 4), { tokensFirst: true, lengths });
    assert.deepEqual(await other.read(), tokensFirst(one, shape));
  });

  test('does nothing where there is nothing', async () => {
    const [none, cache] = [randn([0, 2, 3, 4], 1), randn([0, 2, 5, 4], 1)];
    assert.equal((await attentionCached(none, none, none, cache, randn([0, 2, 5, 4], 2), tensor(new Int32Array(0), [0])).read()).length, 0);
    const [empty, full] = [randn([1, 2, 0, 4], 1), randn([1, 2, 5, 4], 1)];
    assert.equal((await attentionCached(empty, empty, empty, full, randn([1, 2, 5, 4], 2), i32(5)).read()).length, 0);
  });

  const x = () => randn([1, 2, 3, 4], 1);
  const cache = (seed = 2) => randn([1, 2, 5, 4], seed);
  const shared = cache();

  test('a cache without room is an error of the stream', async () => {
    for (const [offset, message] of [
      [3, 'attentionCached: offsets[0] is 3, expected 0 to 2, as the cache holds 5 tokens and 3 are new'],
      [-1, 'attentionCached: offsets[0] is -1, expected 0 to 2, as the cache holds 5 tokens and 3 are new'],
    ] as const)
      await assert.rejects(attentionCached(x(), x(), x(), cache(), cache(3), i32(offset)).read(), { name: 'ArgumentError', message });
    for (const length of [-1, 4])
      await assert.rejects(attentionCached(x(), x(), x(), cache(), cache(3), i32(0), { lengths: i32(length) }).read(), {
        name: 'ArgumentError',
        message: `attentionCached: lengths[0] is ${length}, expected 0 to the 3 tokens of q`,
      });
  });

  test('that fails leaves what the caches held', async () => {
    const [keys, values] = [cache(), cache(3)];
    const first = await attentionCached(x(), x(), x(), keys, values, i32(0)).read();
    await assert.rejects(attentionCached(x(), x(), x(), keys, values, i32(9)).read(), { name: 'ArgumentError' });
    assert.deepEqual(await attentionCached(x(), x(), x(), keys, values, i32(0)).read(), first);
  });

  test('has no gradient and says so', () => {
    const q = x();
    q.requiresGrad = true;
    assert.throws(() => attentionCached(q, x(), x(), cache(), cache(3), i32(0)), { name: 'GradientError' });
  });

  const messages: [string, string, () => unknown][] = [
    [
      'ShapeError',
      'attentionCached: k is [1, 2, 4, 4], expected 3 along axis 2, the tokens of q',
      () => attentionCached(x(), randn([1, 2, 4, 4], 1), randn([1, 2, 4, 4], 1), cache(), cache(3), i32(0)),
    ],
    [
      'DtypeError',
      'attentionCached: keyCache is bf16, expected f32, the dtype of q',
      () => attentionCached(x(), x(), x(), randn([1, 2, 5, 4], 1, 'bf16'), cache(), i32(0)),
    ],
    [
      'ShapeError',
      'attentionCached: keyCache is [4], expected [batch, kvHeads, capacity, headDim]',
      () => attentionCached(x(), x(), x(), randn([4], 1), cache(), i32(0)),
    ],
    [
      'ShapeError',
      'attentionCached: keyCache is [1, 1, 5, 4], expected [1, 2, 5, 4], [batch, kvHeads, capacity, headDim]',
      () => attentionCached(x(), x(), x(), randn([1, 1, 5, 4], 1), cache(), i32(0)),
    ],
    [
      'ShapeError',
      'attentionCached: valueCache is [1, 2, 6, 4], expected [1, 2, 5, 4], the shape of keyCache',
      () => attentionCached(x(), x(), x(), cache(), randn([1, 2, 6, 4], 1), i32(0)),
    ],
    [
      'ArgumentError',
      'attentionCached: valueCache is in the memory of keyCache, expected memory of its own',
      () => attentionCached(x(), x(), x(), shared, shared, i32(0)),
    ],
    [
      'ArgumentError',
      'attentionCached: capacity is 1073741825, expected at most 2^30',
      () => {
        const [none, large] = [randn([1, 0, 3, 4], 1), () => randn([1, 0, 2 ** 30 + 1, 4], 1)];
        return attentionCached(none, none, none, large(), large(), i32(0));
      },
    ],
    ['DtypeError', 'attentionCached: offsets is f32, expected i32', () => attentionCached(x(), x(), x(), cache(), cache(3), randn([1], 1))],
    [
      'ShapeError',
      'attentionCached: offsets is [2], expected [1], [batch]',
      () => attentionCached(x(), x(), x(), cache(), cache(3), i32(0, 0)),
    ],
    [
      'DtypeError',
      'attentionCached: lengths is f32, expected i32',
      () => attentionCached(x(), x(), x(), cache(), cache(3), i32(0), { lengths: randn([1], 1) }),
    ],
    [
      'ShapeError',
      'attentionCached: lengths is [2], expected [1], [batch]',
      () => attentionCached(x(), x(), x(), cache(), cache(3), i32(0), { lengths: i32(1, 1) }),
    ],
    [
      'ArgumentError',
      'attentionCached: softmaxScale is -1, expected a finite number above 0',
      () => attentionCached(x(), x(), x(), cache(), cache(3), i32(0), { softmaxScale: -1 }),
    ],
    [
      'DtypeError',
      'attentionCached: pageTable is f32, expected i32',
      () => attentionCached(x(), x(), x(), cache(), cache(3), i32(0), { pageTable: randn([1, 1], 1) }),
    ],
    [
      'ShapeError',
      'attentionCached: pageTable is [1], expected [batch, rowPages]',
      () => attentionCached(x(), x(), x(), cache(), cache(3), i32(0), { pageTable: i32(0) }),
    ],
    [
      'ShapeError',
      'attentionCached: pageTable is [2, 1], expected 1 along axis 0, the batch of q',
      () => attentionCached(x(), x(), x(), cache(), cache(3), i32(0), { pageTable: tensor([0, 0], [2, 1], 'i32') }),
    ],
    [
      'ArgumentError',
      'attentionCached: pageTokens is 5, expected a multiple of 64',
      () => attentionCached(x(), x(), x(), cache(), cache(3), i32(0), { pageTable: tensor([0], [1, 1], 'i32') }),
    ],
    [
      'ShapeError',
      'attentionCached: keyCache is [3, 1, 64, 4], expected [3, 2, 64, 4], [pages, kvHeads, pageTokens, headDim]',
      () => {
        const pages = (seed: number) => randn([3, 1, 64, 4], seed);
        return attentionCached(x(), x(), x(), pages(1), pages(2), i32(0), { pageTable: tensor([0], [1, 1], 'i32') });
      },
    ],
    [
      'ArgumentError',
      'attentionCached: ropeBase is -1, expected a finite number above 0',
      () => attentionCached(x(), x(), x(), cache(), cache(3), i32(0), { ropeBase: -1 }),
    ],
    [
      'ArgumentError',
      'attentionCached: headDim is 3, expected an even number, as ropeBase is given',
      () => {
        const [odd, room] = [randn([1, 2, 3, 3], 1), (seed: number) => randn([1, 2, 5, 3], seed)];
        return attentionCached(odd, odd, odd, room(1), room(2), i32(0), { ropeBase: 10 });
      },
    ],
  ];
  for (const [name, message, body] of messages) test(message, () => assert.throws(body, { name, message }));
});
