/** What a GPU gives to the bit as the CPU does (docs/numerics.md): a mask must not depend on where it was made. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { bilinear, linear, maskBits, quantize, rowsView, sampleToken, type Tensor, toDevice } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('the bits of the CPU', (here) => {
  async function same(make: (x: Tensor) => (Tensor | undefined)[], x: Tensor): Promise<void> {
    const [made, expected] = [make(toDevice(x, here)), make(toDevice(x, 'cpu'))];
    assert.ok(made.length > 0 && made.length === expected.length);
    for (const [i, one] of made.entries()) {
      assert.equal(one?.device, one && here);
      assert.deepEqual(await one?.read(), await expected[i]?.read());
    }
  }

  for (const [low, resized, original] of [
    [
      [2, 16, 16],
      [100, 128],
      [99, 150],
    ],
    [
      [3, 64, 64],
      [128, 97],
      [427, 640],
    ],
    [
      [1, 40, 31],
      [77, 128],
      [12, 17],
    ],
  ] as const)
    test(`interpolation of [${low}] to [${resized}] to [${original}]`, async () => {
      const logits = randn([...low], 3);
      await same((x) => [maskBits(x, { inputSize: 128, resized, original }), bilinear(x, original[0], original[1])], logits);
    });

  for (const [name, options] of Object.entries({
    'all of them': { temperature: 0.7 },
    'the largest 40': { topK: 40 },
    '0.9 of the probability': { temperature: 1.3, topP: 0.9 },
    'both, of many equals': { topK: 3000, topP: 0.95 },
  }))
    test(`tokens drawn from ${name}`, () => {
      const logits = randn([24, 4003], 7, name.endsWith('equals') ? 'bf16' : 'f32');
      return same((x) => [sampleToken(x, { ...options, seed: 11 })], logits);
    });

  for (const kind of ['int8', 'int4'] as const)
    for (const dtype of ['f32', 'bf16', 'f16'] as const)
      test(`${kind} of a weight in ${dtype}`, () =>
        same(
          (weight) => {
            const { values, scales, minimums } = quantize(weight, kind);
            return [values, scales, minimums];
          },
          randn([130, 300], 5, dtype),
        ));
});

onEveryDevice('a row of a product', (here) => {
  const most = here === 'cpu' ? 4 : 16; // docs/cuda.md
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const [inner, out] of [
      [4096, 264],
      [333, 77],
    ] as const)
      test(`has its bits whatever rows come along: ${dtype}, [${out}, ${inner}]`, async () => {
        const [x, weight, bias] = [randn([most, inner], 3, dtype), randn([out, inner], 5, dtype), randn([out], 7, dtype)];
        const residual = randn([most, out], 9, dtype);
        const bits = (rows: number) =>
          linear(rowsView(x, most - rows, most), weight, bias, { residual: rowsView(residual, most - rows, most) }).readBits();
        const all = await bits(most);
        for (const rows of [1, 2, 3, 5, 8, 13].filter((count) => count < most))
          assert.deepEqual(await bits(rows), all.slice((most - rows) * out), `${rows} rows`);
      });
});
