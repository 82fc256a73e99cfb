/** Files to CLIP's input: every picture of MGLMM_GOLDEN/image, as CLIPImageProcessor makes it. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { decodeImage, memory, resetPeak, type Tensor } from '../../../lib';
import { clipPresets } from '../../../lib/models/clip/config';
import { clipInput } from '../../../lib/models/clip/input';
import { imageTensor } from '../../../lib/models/image_tensor';
import { onEveryDevice } from '../../support/devices';
import { collectGarbage } from '../../support/garbage';
import { compareInput, imageGoldens } from '../../support/image_goldens';

onEveryDevice('clipInput', (device) => {
  const { config, file } = imageGoldens;
  test('there are pictures', () => assert.ok(config.images.length > 0));

  for (const { name, clip } of config.images)
    test(name, async () => {
      const { mean, std, rescale } = config.clip;
      const pixels = clipInput(await decodeImage(file(name)), {
        imageSize: clip.crop,
        pixelScale: rescale,
        pixelMean: mean,
        pixelStd: std,
      });
      assert.deepEqual(pixels.shape, [1, 3, clip.crop, clip.crop]);
      await compareInput(`${name}.clip`, pixels, clip);
    });

  const grey = { data: new Uint8Array(5 * 9 * 3).fill(128), width: 9, height: 5 };

  test('takes a tensor for the picture and makes each dtype', async () => {
    const config = clipPresets['vit-large-patch14-336'];
    const wanted = await clipInput(grey, config).read();
    for (const [channel, mean] of config.pixelMean.entries())
      assert.ok(Math.abs((wanted[channel * 336 ** 2] as number) - (128 / 255 - mean) / (config.pixelStd[channel] as number)) < 1e-6);
    const tensor = imageTensor(grey);
    assert.deepEqual(await clipInput(tensor, config).read(), wanted);
    for (const dtype of ['bf16', 'f16'] as const) {
      const narrow = clipInput(tensor, config, dtype);
      assert.deepEqual([narrow.dtype, narrow.shape], [dtype, [1, 3, 336, 336]]);
    }
  });

  test('takes the thinnest pictures', async () => {
    const config = { ...clipPresets['vit-large-patch14-336'], imageSize: 28 };
    for (const [width, height] of [
      [1, 1],
      [1, 4000],
      [4000, 1],
      [300_000, 3],
      [2, 2_000_000],
    ] as const) {
      const pixels = await clipInput({ data: new Uint8Array(width * height * 3).fill(255), width, height }, config).read();
      assert.ok(pixels.every(Number.isFinite));
    }
  });

  for (const [width, height] of [
    [9, 4],
    [5, 12],
    [7, 7],
    [2, 601],
  ] as const)
    test(`pads ${width} x ${height} to a square where that is asked for`, async () => {
      const config = { ...clipPresets['vit-large-patch14'], imageSize: 28 };
      const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => (i * 37) % 256);
      const side = Math.max(width, height);
      const [top, left] = [Math.floor((side - height) / 2), Math.floor((side - width) / 2)];
      const square = Uint8Array.from({ length: side * side * 3 }, (_, i) => [122, 116, 104][i % 3] as number);
      for (let y = 0; y < height; y++) square.set(data.subarray(y * width * 3, (y + 1) * width * 3), ((top + y) * side + left) * 3);
      const wanted = await clipInput({ data: square, width: side, height: side }, config).read();
      assert.deepEqual(await clipInput({ data, width, height }, { ...config, padToSquare: true }).read(), wanted);
    });

  test.each([
    [2000, 1],
    [1, 2000],
  ])('pads %d x %d in little more memory than the square', async (width, height) => {
    await collectGarbage();
    const { liveBytes } = memory(device);
    resetPeak(device);
    const config = { ...clipPresets['vit-large-patch14'], imageSize: 28, padToSquare: true };
    using pixels = clipInput({ data: new Uint8Array(6000), width, height }, config);
    await pixels.read();
    const used = memory(device).peakBytes - liveBytes;
    assert.ok(used < 1.5 * 2000 * 2000 * 3, `${used} bytes`);
  });

  test('refuses to pad to a square that no memory holds', () =>
    assert.throws(
      () =>
        clipInput({ data: new Uint8Array(90_000), width: 30_000, height: 1 }, { ...clipPresets['vit-large-patch14'], padToSquare: true }),
      {
        name: 'ArgumentError',
        message: 'image: it is 30000 x 1, and this model pads to a square; expected sides of at most 14000 pixels',
      },
    ));

  test('refuses what is no picture', () => {
    const refuses = (image: unknown, message: string) =>
      assert.throws(() => clipInput(image as Tensor, clipPresets['vit-large-patch14']), { name: 'ArgumentError', message });
    refuses(undefined, 'image: data is undefined, expected a Uint8Array of red, green and blue, row by row');
    refuses({ ...grey, width: 8 }, 'image: data has 135 bytes, expected 120, height * width * 3');
    refuses(
      clipInput(grey, { ...clipPresets['vit-large-patch14'], imageSize: 2 }),
      'image: the tensor is f32 [1, 3, 2, 2], expected u8 [height, width, 3]',
    );
    assert.throws(() => clipInput(grey, clipPresets['vit-large-patch14'], 'i32'), {
      name: 'DtypeError',
      message: 'preprocessImage: dtype is i32, expected f32, bf16 or f16',
    });
  });
});
