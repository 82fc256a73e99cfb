/** Parity with Pillow, pixel by pixel: every image of MGLMM_GOLDEN/image. */
import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { preprocessImage, tensor } from '../../lib';
import { onEveryDevice } from '../support/devices';
import { compareInput, imageGoldens } from '../support/image_goldens';
import { decodePng, encodePng } from '../support/png';
import { resizedBytes } from '../support/resized_bytes';

const { config, stored, file } = imageGoldens;

onEveryDevice('image preprocessing', () => {
  test('there are images', () => expect(config.images.length).toBeGreaterThan(0));

  for (const { name, height, width, sha256_rgb, clip, sam } of config.images) {
    const image = () => {
      const decoded = decodePng(readFileSync(file(name)));
      assert.deepEqual([decoded.height, decoded.width], [height, width]);
      assert.equal(createHash('sha256').update(decoded.pixels).digest('hex'), sha256_rgb);
      assert.deepEqual(decodePng(encodePng(decoded)), decoded);
      return tensor(decoded.pixels, [height, width, 3]);
    };

    test(`${name} for CLIP`, async () => {
      const [top, left] = clip.crop_top_left as [number, number];
      const cut = { resized: clip.resized, filter: config.clip.resample, top, left, height: clip.crop, width: clip.crop };
      assert.deepEqual(await resizedBytes(image(), cut), stored.get(`${name}.clip_uint8`)?.values);
      const { mean, std, rescale } = config.clip;
      await compareInput(`${name}.clip`, preprocessImage(image(), { ...cut, mean, std, rescale }), clip);
    });

    for (const one of sam)
      test(`${name} for SAM at ${one.side}`, async () => {
        const [height, width] = one.resized;
        const options = { resized: one.resized, filter: config.sam.resample };
        const expected = stored.get(`${name}.sam${one.side}_uint8`);
        if (expected) assert.deepEqual(await resizedBytes(image(), { ...options, height, width }), expected.values);
        const { mean, std } = config.sam;
        const pixels = preprocessImage(image(), { ...options, height: one.side, width: one.side, mean, std });
        await compareInput(`${name}.sam${one.side}`, pixels, one);
      });
  }
});
