import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import sharp from 'sharp';
import {
  decodeMasks,
  encodeMasks,
  Mask,
  maskBits,
  memory,
  readMasks,
  rleFromPolygons,
  rleFromRuns,
  synchronize,
  tensor,
  tidy,
} from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';

onEveryDevice('masks as results', () => {
  const sizes = { inputSize: 64, resized: [48, 64], original: [90, 121] } as const;

  test('of logits, the same as its parts', async () => {
    const logits = randn([3, 1, 16, 16], 4);
    const wanted = await encodeMasks(maskBits(randn([3, 16, 16], 4), sizes), 121);
    for (const input of [logits, randn([3, 16, 16], 4)]) {
      const masks = await readMasks(input, { ...sizes, scores: [0.5, 0.25, 1] });
      assert.deepEqual(
        masks.map(({ rle }) => rle),
        wanted,
      );
      assert.deepEqual(
        masks.map(({ score }) => score),
        [0.5, 0.25, 1],
      );
      assert.ok(masks.every(({ height, width }) => height === 90 && width === 121));
    }
    assert.deepEqual(await readMasks(randn([0, 1, 16, 16], 4), sizes), []);
  });

  test('every form is the same mask', async () => {
    const [mask] = (await readMasks(randn([1, 16, 16], 9), sizes)) as [Mask];
    const pixels = await mask.pixels();
    assert.equal(pixels.length, 90 * 121);
    assert.equal(
      mask.area,
      pixels.reduce((sum, pixel) => sum + pixel, 0),
    );
    const set = [...pixels.keys()].filter((i) => pixels[i]);
    const [columns, rows] = [set.map((i) => i % 121), set.map((i) => Math.floor(i / 121))];
    const [left, top] = [Math.min(...columns), Math.min(...rows)];
    assert.deepEqual(mask.box, [left, top, Math.max(...columns) - left + 1, Math.max(...rows) - top + 1]);
    const bits = await mask.bits();
    assert.ok(
      pixels.every((pixel, i) => (((bits[Math.floor(i / 121) * 16 + ((i % 121) >> 3)] as number) >> ((i % 121) & 7)) & 1) === pixel),
    );
    const { data } = await sharp(await mask.png())
      .toColourspace('b-w')
      .raw()
      .toBuffer({ resolveWithObject: true });
    assert.ok(data.every((value, i) => value === 255 * (pixels[i] as number)));
    assert.deepEqual(rleFromPolygons(await mask.polygons(), mask.rle.size), mask.rle);
    assert.deepEqual(await (await decodeMasks([mask.rle])).read(), pixels);
    assert.deepEqual(JSON.parse(JSON.stringify(mask)), { segmentation: mask.rle, area: mask.area, bbox: mask.box });
  });

  test('an empty mask has every form', async () => {
    const mask = new Mask(rleFromRuns([12], [3, 4]), 0.5);
    assert.deepEqual([mask.area, mask.box, await mask.polygons()], [0, [0, 0, 0, 0], []]);
    assert.ok((await mask.pixels()).every((pixel) => pixel === 0));
    assert.ok((await mask.png()).length > 0);
    assert.equal(mask.toJSON().score, 0.5);
  });

  test('nothing stays on the device', async () => {
    await collectGarbage();
    const before = memory().liveBytes;
    await tidy(async () => {
      const [mask] = (await readMasks(randn([1, 16, 16], 9), sizes)) as [Mask];
      await mask.png();
    });
    await synchronize();
    assert.equal(memory().liveBytes, before);
  });

  test('refuses what does not fit', async () => {
    const refuses = (logits: unknown, options: unknown, name: string, message: string | RegExp) =>
      assert.rejects(readMasks(logits as never, options as never), { name, message });
    const scores = 'readMasks: scores has 1 numbers, expected 2, the masks of logits';
    await refuses(randn([2, 4, 4], 1), { ...sizes, scores: [1] }, 'ArgumentError', scores);
    await refuses(tensor([1], [1, 1, 1], 'u8'), sizes, 'DtypeError', 'maskBits: logits is u8, expected f32, bf16 or f16');
    await refuses(undefined, sizes, 'ArgumentError', /^maskBits: logits is undefined, expected a tensor/);
    await refuses(randn([2, 4, 4], 1), undefined, 'ArgumentError', /^maskBits: inputSize is /);
    await refuses(randn([4, 4], 1), sizes, 'ShapeError', /^rleEncode: masks is \[90, 16\], expected /);
  });
});
