/** Points, boxes and earlier masks in pixels of the picture, with the whole model and with a checkpoint of Segment Anything alone. */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { Mglmm, SegmentAnything, type SegmentRequest } from '../../lib';
import { samPrompts } from '../../lib/inference/pixel_prompts';
import type { Sam } from '../../lib/models/sam/model';
import { onEveryDevice } from '../support/devices';
import { mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { tinyModel } from '../support/tiny_model';
import { temporaryFolder } from '../support/weights';

const image = picture(60, 40);

for (const golden of mglmmGoldens()) {
  const alone = join(golden.folder, 'checkpoints/sam.pth');

  onEveryDevice(`segmenting with ${golden.name}`, (device) => {
    test('gives each object its mask, as if it were alone', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      const points = [
        [[10, 10]],
        [
          [50, 30],
          [5, 5],
        ],
      ] as const;
      const labels = [[1], [1, 0]] as const;
      const both = await model.segmentAnything({ image, points, labels });
      assert.equal(both.length, 2);
      const [second] = await model.segmentAnything({
        image,
        points: [
          [50, 30],
          [5, 5],
        ],
        labels: [1, 0],
      });
      assert.deepEqual(both[1]?.[0]?.mask.rle.size, [40, 60]);
      assert.deepEqual(second?.[0]?.mask.rle.size, [40, 60]);
      assert.equal(second?.length, 1);
    });

    test('makes three masks of a prompt that may mean several things, and makes a mask better', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      const [three] = await model.segmentAnything({ image, points: [[30, 20]], multimask: true });
      assert.equal(three?.length, 3);
      const [again] = await model.segmentAnything({ image, points: [[30, 20]], mask: three![0]!.logits });
      assert.equal(again?.length, 1);
      for (const { mask, box, score, logits } of [...three!, ...again!]) {
        assert.deepEqual(box, mask.box);
        assert.ok(score >= 0 && score <= 1 && mask.score === score);
        assert.equal(Math.sqrt(logits.length) % 4, 0);
      }
    });

    test('takes as many earlier masks as there are, above what is copied at once', async () => {
      const masks = [1, 2, 3].map((value) => new Float32Array(1024 * 1024).fill(value));
      const placement = { resized: [1024, 1024], original: [1024, 1024] } as const;
      const { masks: taken } = samPrompts({ masks, maskSide: 1024 }, placement, { dtype: 'f32' } as Sam);
      assert.deepEqual(taken?.shape, [3, 1, 1024, 1024]);
      assert.deepEqual(new Float32Array(await taken.read()).slice(-1), new Float32Array([3]));
      taken.dispose();
    });

    test('is the same with a box in one list or two, and with an image that was read before', async () => {
      using folder = tinyModel(golden);
      await using model = await Mglmm.load(folder.path, { device });
      using encoded = await model.encodeImage(image);
      const results = [
        await model.segmentAnything({ image, boxes: [5, 5, 40, 30] }),
        await model.segmentAnything({ image, boxes: [[5, 5, 40, 30]] }),
        await model.segmentAnything({ image: encoded, boxes: [5, 5, 40, 30] }),
      ];
      assert.deepEqual(results[1], results[0]);
      assert.deepEqual(results[2], results[0]);
    });

    if (existsSync(alone)) {
      test('is the same with a checkpoint of Segment Anything alone', async () => {
        using folder = tinyModel(golden);
        await using model = await Mglmm.load(folder.path, { device });
        // The shapes of a published checkpoint tell its sizes; those of a tiny one do not tell its heads.
        using own = temporaryFolder();
        symlinkSync(alone, own.file('sam.pth'));
        const { segment_encoder_config } = JSON.parse(readFileSync(folder.file('config.json'), 'utf8')) as Record<string, unknown>;
        own.file('config.json', JSON.stringify({ segment_encoder_config }));
        await using sam = await SegmentAnything.load(own.path, { device, dtype: 'f32' });
        using encoded = await sam.encodeImage(image);
        const request = { points: [[30, 20]], boxes: [5, 5, 40, 30] } as const;
        assert.deepEqual(await sam.segmentAnything({ image, ...request }), await model.segmentAnything({ image, ...request }));
        assert.deepEqual(await sam.segmentAnything({ image: encoded, ...request }), await sam.segmentAnything({ image, ...request }));
        await assert.rejects(model.segmentAnything({ image: encoded, ...request }), {
          name: 'ArgumentError',
          message: 'image: it was encoded by another model, expected one that this model has read',
        });
      });

      test('says which class opens which checkpoint', async () => {
        using folder = tinyModel(golden);
        await assert.rejects(Mglmm.load(alone, { device }), {
          name: 'CheckpointError',
          message: `${alone} is Segment Anything alone: open it with SegmentAnything.load, or give it to a model as the option sam`,
        });
        await assert.rejects(SegmentAnything.load(folder.path, { device }), {
          name: 'CheckpointError',
          message: `${folder.path} holds a mglmm, expected Segment Anything alone; others open with Mglmm.load`,
        });
        await assert.rejects(SegmentAnything.load(alone, { device, dtype: 'int8' }), {
          name: 'ArgumentError',
          message: 'load: dtype is int8, expected one of f32, bf16, f16',
        });
        await assert.rejects(SegmentAnything.load(alone, null as never), {
          name: 'ArgumentError',
          message: 'load: it was given null, expected an object with device, dtype, cacheBytes, onProgress, logger, signal',
        });
      });
    }

    test('says what it guesses of a checkpoint of no published size', async () => {
      const lines: string[] = [];
      await using _sam = await SegmentAnything.load(alone, { device, logger: { info: () => {}, warn: (line) => lines.push(line) } });
      assert.equal(lines.length, 1);
      assert.match(lines[0] as string, /sam\.pth: sam: 8 heads of the mask decoder are guessed: /);
    });

    describe('refuses', () => {
      const refused: [string, Partial<SegmentRequest>][] = [
        ['no points, boxes or mask are given, expected one of them at least', {}],
        ['points are empty, expected those of one object at least', { points: [] }],
        ['points are 3, expected a list of [x, y], or one for each object', { points: 3 as never }],
        ['points are [5, 5], expected a list of [x, y], or one for each object', { points: [5, 5] as never }],
        ['points of object 1 are [], expected [x, y] of one at least', { points: [[[3, 4]], []] }],
        ['a point is [NaN, 3], expected [x, y] within the 60 x 40 pixels of the image', { points: [[Number.NaN, 3]] }],
        ['a point is [3, 41], expected [x, y] within the 60 x 40 pixels of the image', { points: [[3, 41]] }],
        ['a point is [3], expected [x, y] within the 60 x 40 pixels of the image', { points: [[3]] as never }],
        ['a label is 2, expected 1, on the object, or 0, beside it', { points: [[3, 4]], labels: [2] as never }],
        ['labels of object 0 are [1, 1], expected one for each of its 1 points', { points: [[3, 4]], labels: [1, 1] }],
        ['labels are [[1], [1]], expected one for each of the points', { points: [[3, 4]], labels: [[1], [1]] }],
        ['labels are given and no points', { boxes: [1, 2, 3, 4], labels: [1] }],
        ['boxes are true, expected [left, top, right, bottom] of each', { boxes: true as never }],
        ['a box is [5, 5, 4, 9], expected [left, top, right, bottom] within the 60 x 40 pixels of the image', { boxes: [5, 5, 4, 9] }],
        [
          'boxes are of 2 objects, expected 1, as points',
          {
            points: [[3, 4]],
            boxes: [
              [1, 1, 2, 2],
              [3, 3, 4, 4],
            ],
          },
        ],
      ];
      for (const [message, request] of refused) {
        test(message, async () => {
          using folder = tinyModel(golden);
          await using model = await Mglmm.load(folder.path, { device });
          await assert.rejects(model.segmentAnything({ image, ...request }), {
            name: 'ArgumentError',
            message: `segmentAnything: ${message}`,
          });
        });
      }

      test('masks that are none of its own', async () => {
        using folder = tinyModel(golden);
        await using model = await Mglmm.load(folder.path, { device });
        const says = (mask: unknown, message: RegExp) =>
          assert.rejects(model.segmentAnything({ image, mask: mask as never }), { name: 'ArgumentError', message });
        await says(new Float32Array(3), /^segmentAnything: mask is 3 numbers, expected the logits of an earlier mask, \d+ numbers$/);
        await says('mask', /^segmentAnything: mask is "mask", expected the logits/);
        const [[made] = []] = await model.segmentAnything({ image, points: [[3, 4]] });
        await says(
          made?.logits.map(() => Number.NaN),
          /^segmentAnything: mask has numbers that are NaN or infinite$/,
        );
      });
    });
  });
}
