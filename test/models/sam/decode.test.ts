/** What goldens do not show: prompts of several images and of one, refusals, half precision, gradients into the encoder. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import {
  backward,
  concat,
  memory,
  nn,
  noGradients,
  parseSamConfig,
  Sam,
  type SamPrompts,
  Scope,
  slice,
  synchronize,
  type Tensor,
  tidy,
  zeros,
} from '../../../lib';
import { assertWithin, expectClose } from '../../support/close';
import { randn } from '../../support/data';
import { onEveryDevice } from '../../support/devices';
import { collectGarbage } from '../../support/garbage';

const config = parseSamConfig({
  image_size: 40,
  patch_size: 8,
  encoder_embed_dim: 16,
  encoder_depth: 2,
  encoder_num_heads: 2,
  encoder_global_attn_indexes: [1],
  window_size: 3,
  prompt_embed_dim: 16,
  decoder_num_heads: 2,
  decoder_mlp_dim: 24,
});
const [dim, grid] = [config.promptDim, 5];
const image = (seed: number) => randn([1, dim, grid, grid], seed);
const rows = (x: Tensor, index: number) => slice(x, 0, index, index + 1);

onEveryDevice('Sam.decode', (device) => {
  const prompts: Record<string, (count: number) => SamPrompts> = {
    text: (count) => ({ text: randn([count, 1, dim], 3) }),
    points: (count) => ({
      points: Array.from({ length: count }, (_, i) => [
        { x: 3 * i, y: 5, label: 1 },
        { x: 9, y: 2 * i, label: 0 },
      ]),
    }),
    boxes: (count) => ({ boxes: Array.from({ length: count }, (_, i) => [i, 1, 20 + i, 30]) }),
    masks: (count) => ({ masks: randn([count, 1, 4 * grid, 4 * grid], 4) }),
  };
  const one = ({ text, points, boxes, masks }: SamPrompts, i: number): SamPrompts => ({
    ...(text && { text: rows(text, i) }),
    ...(points && { points: [points[i]!] }),
    ...(boxes && { boxes: [boxes[i]!] }),
    ...(masks && { masks: rows(masks, i) }),
  });

  for (const [kind, make] of Object.entries(prompts)) {
    for (const images of [1, 3])
      test(`three ${kind} prompts of ${images} image(s) equal three runs`, async () => {
        using _scope = Scope.open();
        const sam = new Sam(config).initialize(1);
        const embeddings = Array.from({ length: images }, (_, i) => image(i));
        const asked = make(3);
        const together = sam.decode(concat(embeddings, 0), asked, { multimask: true });
        assert.deepEqual([...together.lowRes.shape], [3, 3, 4 * grid, 4 * grid]);
        assert.deepEqual([...together.iou.shape], [3, 3]);
        for (let i = 0; i < 3; i++) {
          const alone = sam.decode(embeddings[i % images]!, one(asked, i), { multimask: true });
          await expectClose(rows(together.lowRes, i), await alone.lowRes.read(), { terms: 1000 });
          await expectClose(rows(together.iou, i), await alone.iou.read(), { terms: 1000 });
        }
        sam.dispose();
      });
  }

  test('gradients reach the image encoder through prompts that share its embedding', async () => {
    using _scope = Scope.open();
    const sam = new Sam(config).initialize(1).train((key) => key.startsWith('image_encoder.'));
    const pixels = randn([1, 3, 40, 40], 1);
    const { lowRes } = sam.decode(sam.encodeImage(pixels), prompts.text!(3));
    backward(lowRes, randn(lowRes.shape, 2));
    for (const [key, { grad }] of sam.imageEncoder.namedParameters()) {
      assert.ok(grad, `${key} got no gradient`);
      assert.ok(
        (await grad.read()).some((value) => value !== 0),
        key,
      );
      grad.dispose();
    }
    sam.dispose();
  });

  test('in bf16, packed, gives what f32 gives', async () => {
    using _scope = Scope.open();
    const [whole, half] = [new Sam(config).initialize(1), new Sam(config, { dtype: 'bf16' }).initialize(1).pack()];
    const results = noGradients(() =>
      (
        [
          ['f32', whole],
          ['bf16', half],
        ] as const
      ).map(([dtype, sam]) => sam.decode(sam.encodeImage(randn([1, 3, 40, 40], 1, dtype)), { text: randn([2, 1, dim], 3, dtype) })),
    );
    const expected = await results[0]!.lowRes.read();
    const largest = Math.max(...Array.from(expected, Math.abs));
    // Some 40 roundings to 8 bits, one behind another.
    assertWithin(await results[1]!.lowRes.read(), expected, () => 0.1 * largest, results[1]!.lowRes);
    for (const sam of [whole, half]) sam.dispose();
  });

  test('with LoRA, whose weights are taken apart, gives what the merged weights give, and gradients', async () => {
    using _scope = Scope.open();
    const sam = new Sam(config).initialize(1);
    nn.addLoraTo(sam.maskDecoder, (key) => /_(token|image)\.\w+_proj$/.test(key), { rank: 2, alpha: 3 });
    for (const [i, layer] of [...nn.loraLayers(sam).values()].entries()) {
      layer.loadSome(new Map([['lora_A', randn(layer.loraA.shape, i)]]));
      layer.loadSome(new Map([['lora_B', randn(layer.loraB.shape, 50 + i)]]));
    }
    sam.train((key) => key.includes('lora_'));
    const forward = () => sam.decode(image(2), { text: randn([1, 1, dim], 3) }).lowRes;
    const lowRes = forward();
    backward(lowRes, randn(lowRes.shape, 4));
    for (const [key, layer] of nn.loraLayers(sam)) {
      const used = !key.includes('image_to_token.k_proj'); // with one key its scores decide nothing
      for (const matrix of [layer.loraA, layer.loraB]) {
        assert.ok(matrix.grad, key);
        const values = await matrix.grad.read();
        if (used)
          assert.ok(
            Array.from(values).some((value) => value !== 0),
            key,
          );
        matrix.grad.dispose();
      }
    }
    sam.train(() => false);
    const adapted = await forward().read();
    nn.mergeAllLora(sam);
    await expectClose(forward(), adapted, { terms: 4096, scale: Math.max(...Array.from(adapted, Math.abs)) });
    sam.dispose();
  });

  test('leaves nothing behind but the positions, which dispose frees', async () => {
    await collectGarbage();
    await synchronize();
    const before = memory(device).liveBytes;
    const sam = new Sam(config).initialize(1);
    const use = () => tidy(() => void noGradients(() => sam.decode(sam.encodeImage(randn([1, 3, 40, 40], 1)), prompts.points!(2))));
    use();
    await synchronize();
    const used = memory(device).liveBytes;
    use();
    await synchronize();
    assert.equal(memory(device).liveBytes, used);
    sam.dispose();
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
  });

  test('makes the positions anew when other weights are loaded', async () => {
    using _scope = Scope.open();
    const [sam, other] = [new Sam(config).initialize(1), new Sam(config).initialize(2)];
    const [first, expected] = [await sam.promptEncoder.densePe().read(), await other.promptEncoder.densePe().read()];
    assert.equal(sam.promptEncoder.imagePe(), sam.promptEncoder.imagePe());
    sam.load(other.stateDict());
    assert.deepEqual(await sam.promptEncoder.densePe().read(), expected);
    assert.notDeepEqual(first, expected);
    sam.dispose();
  });

  describe('refuses', () => {
    const point = { x: 1, y: 2, label: 1 } as const;
    const refused: [string, SamPrompts, string][] = [
      ['nothing', {}, 'sam: no prompt is given, expected points, boxes, text or masks'],
      ['empty lists', { points: [] }, 'sam: points has no entries, expected one a mask'],
      ['lists of other lengths', { points: [[point]], boxes: [] }, 'sam: boxes has 0 entries, expected 1, those of points'],
      ['ragged points', { points: [[point], [point, point]] }, 'sam: points[1] has 2 points, expected 1, those of points[0]'],
      ['a label', { points: [[{ ...point, label: 2 as 1 }]] }, 'sam: points[0][0].label is 2, expected 1, 0 or -1'],
      ['a point nowhere', { points: [[{ ...point, y: Number.NaN }]] }, 'sam: points[0][0] is at 1, NaN, expected finite pixels'],
      ['half a box', { boxes: [[1, 2] as never] }, 'sam: boxes[0] is [1, 2], expected 4 finite pixels: left, top, right, bottom'],
    ];
    for (const [what, given, message] of refused)
      test(what, () => {
        using _scope = Scope.open();
        const sam = new Sam(config);
        assert.throws(() => sam.decode(image(1), given), { name: 'ArgumentError', message });
      });

    test('embeddings of other images', () => {
      using _scope = Scope.open();
      const sam = new Sam(config).initialize(1);
      assert.throws(() => sam.decode(zeros([2, dim, grid, grid]), prompts.text!(3)), {
        name: 'ShapeError',
        message: 'sam: embedding has 2 images, expected 1, or 3, one a mask',
      });
      sam.dispose();
    });
  });
});
