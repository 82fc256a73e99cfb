/** Files to SAM's input: every picture of MGLMM_GOLDEN/image, as ResizeLongestSide and Sam.preprocess make it. */
import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { decodeImage, memory, type RgbImage, synchronize, tidy } from '../../../lib';
import { imageTensor } from '../../../lib/models/image_tensor';
import { samPresets } from '../../../lib/models/sam/config';
import { placementOf, samInput } from '../../../lib/models/sam/input';
import { onEveryDevice } from '../../support/devices';
import { collectGarbage } from '../../support/garbage';
import { compareInput, imageGoldens } from '../../support/image_goldens';

onEveryDevice('samInput', (device) => {
  const { config, file } = imageGoldens;

  for (const { name, height, width, sam } of config.images)
    for (const one of sam)
      test(`${name} at ${one.side}`, async () => {
        const { mean, std } = config.sam;
        const image = await decodeImage(file(name));
        const { pixels, placement } = samInput(image, { imageSize: one.side, pixelMean: mean, pixelStd: std });
        assert.deepEqual(placement, { resized: one.resized, original: [height, width] });
        assert.deepEqual(pixels.shape, [1, 3, one.side, one.side]);
        await compareInput(`${name}.sam${one.side}`, pixels, one);
      });

  const image: RgbImage = { data: new Uint8Array(6 * 10 * 3).fill(200), width: 10, height: 6 };
  const small = { ...samPresets.vit_b, imageSize: 20 };

  test('pads after it normalises, on the right and below', async () => {
    const { pixels, placement } = samInput(image, small);
    assert.deepEqual(placement, { resized: [12, 20], original: [6, 10] });
    const values = await pixels.read();
    for (let channel = 0; channel < 3; channel++) {
      const inside = (200 - (small.pixelMean[channel] as number)) / (small.pixelStd[channel] as number);
      for (let row = 0; row < 20; row++)
        for (let column = 0; column < 20; column++) {
          const value = values[(channel * 20 + row) * 20 + column] as number;
          assert.ok(row < 12 ? Math.abs(value - inside) < 1e-5 : value === 0);
        }
    }
  });

  test('takes a tensor for the picture and makes each dtype', async () => {
    const wanted = await samInput(image, small).pixels.read();
    const tensor = imageTensor(image);
    assert.deepEqual(await samInput(tensor, small).pixels.read(), wanted);
    for (const dtype of ['bf16', 'f16'] as const) assert.equal(samInput(tensor, small, dtype).pixels.dtype, dtype);
  });

  test('sizes are rounded as segment-anything rounds them, and none vanishes', () => {
    assert.deepEqual(placementOf(3000, 4000, 1024).resized, [768, 1024]);
    assert.deepEqual(placementOf(427, 640, 1024).resized, [683, 1024]);
    assert.deepEqual(placementOf(4000, 1, 1024).resized, [1024, 1]);
  });

  test('frees the picture', async () => {
    await collectGarbage();
    const before = memory(device).liveBytes;
    await tidy(async () => void (await samInput(image, small).pixels.read()));
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
  });
});
