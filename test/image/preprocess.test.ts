/** Parity with Pillow, pixel by pixel: every image of MGLMM_GOLDEN/image. */
import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { normalizeImage, resizeImage, tensor } from '../../lib';
import { onEveryDevice } from '../support/devices';
import { compareInput, imageGoldens } from '../support/image_goldens';
import { decodePng, encodePng } from '../support/png';

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
      const resized = resizeImage(image(), ...clip.resized, config.clip.resample);
      const pixels = await resized.read();
      const [top, left] = clip.crop_top_left;
      const cropped = Uint8Array.from({ length: clip.crop ** 2 * 3 }, (_, i) => {
        const [row, column] = [Math.floor(i / (3 * clip.crop)), Math.floor(i / 3) % clip.crop];
        return pixels[((top + row) * clip.resized[1] + left + column) * 3 + (i % 3)] as number;
      });
      assert.deepEqual(cropped, stored.get(`${name}.clip_uint8`)?.values);
      const { mean, std, rescale } = config.clip;
      await compareInput(
        `${name}.clip`,
        normalizeImage(resized, { mean, std, rescale, top, left, height: clip.crop, width: clip.crop }),
        clip,
      );
    });

    for (const one of sam)
      test(`${name} for SAM at ${one.side}`, async () => {
        const resized = resizeImage(image(), ...one.resized, config.sam.resample);
        const expected = stored.get(`${name}.sam${one.side}_uint8`);
        if (expected) assert.deepEqual(await resized.read(), expected.values);
        const { mean, std } = config.sam;
        await compareInput(`${name}.sam${one.side}`, normalizeImage(resized, { mean, std, height: one.side, width: one.side }), one);
      });
  }
});
