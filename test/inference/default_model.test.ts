/** The model that comes with the package, and the picture of the demo: a scene of which everything is known. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { defaultModel, Mglmm } from '../../lib';
import { makeScene } from '../../lib/data/scenes/scene';
import { rleIou } from '../../lib/image/rle';
import { readManifest } from '../../lib/weights/manifest';
import { verifyFiles } from '../../lib/weights/verify';

const picture = join(__dirname, '../../examples/pictures/scene.png');
const scene = makeScene({ seed: 21, split: 'test', index: 113, size: 512 });

test('mglmm-tiny is as it was written, and finds what the demo asks for', async () => {
  const manifest = await readManifest(defaultModel);
  assert.ok(manifest);
  assert.deepEqual(await verifyFiles(defaultModel, manifest), []);
  await using model = await Mglmm.load(defaultModel);
  for (const [kind, name] of [
    ['dog', 'the green dog'],
    ['boat', 'the blue boat'],
  ] as const) {
    const { text, segments } = await model.answer({ image: picture, prompt: `Please segment ${name}.` });
    assert.equal(text, `Sure, ${name}.`);
    const truth = scene.maskOf(...scene.things.filter((thing) => thing.kind === kind));
    const [[iou = 0] = []] = rleIou(
      [truth],
      segments.map(({ mask }) => mask.rle),
    );
    assert.ok(iou > 0.7, `${name}: IoU ${iou}`);
  }
  const absent = await model.answer({ image: picture, prompt: 'Please segment the umbrella.' });
  assert.deepEqual([absent.text, absent.segments.length], ["Sorry, I don't see any umbrella in this image.", 0]);
});
