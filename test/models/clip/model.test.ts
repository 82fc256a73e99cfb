/** Parity with the vision tower of CLIP: every tensor of every MGLMM_GOLDEN/clip-*. */
import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { backward, memory, noGradients, Scope, synchronize, tidy } from '../../../lib';
import { type ClipConfig, inferClipConfig, isUnusedClipKey, parseClipConfig } from '../../../lib/models/clip/config';
import { Clip } from '../../../lib/models/clip/model';
import { randn } from '../../support/data';
import { onEveryDevice } from '../../support/devices';
import { collectGarbage } from '../../support/garbage';
import { readSafetensors, toTensor } from '../../support/golden';
import { expectGolden, type GoldenTolerance, modelGoldens, stateOf } from '../../support/golden_model';

const isClip = ({ model_type }: Record<string, unknown>) => model_type === 'clip';
const shapesOf = (path: string) => new Map([...readSafetensors(path)].map(([name, { shape }]) => [name, shape]));

onEveryDevice('clip', (device) => {
  for (const { name, folder, config: json, inputs, expected } of modelGoldens(isClip)) {
    const weights = join(folder, 'weights.safetensors');
    const tolerance = json.tolerance as GoldenTolerance;
    const given: ClipConfig = {
      ...parseClipConfig(json),
      selectLayer: json.mm_vision_select_layer as number,
      selectFeature: json.mm_vision_select_feature as ClipConfig['selectFeature'],
    };
    const loaded = (config: ClipConfig): Clip => {
      const clip = new Clip(config);
      clip.load(new Map([...stateOf(weights)].filter(([key]) => !isUnusedClipKey(key, config))));
      return clip;
    };

    test(`${name}: features`, async () => {
      using _scope = Scope.open();
      const clip = loaded(given);
      await expectGolden('features', clip.forward(toTensor(inputs.get('pixel_values')!)), expected.get('features'), tolerance);
      clip.dispose();
    });

    test(`${name}: every hidden state`, async () => {
      using _scope = Scope.open();
      const clip = loaded({ ...given, selectLayer: -1 });
      let hidden = clip.embed(toTensor(inputs.get('pixel_values')!));
      await expectGolden('hidden_states.0', hidden, expected.get('hidden_states.0'), tolerance);
      for (const [i, layer] of clip.layers.entries()) {
        hidden = layer.forward(hidden);
        await expectGolden(`hidden_states.${i + 1}`, hidden, expected.get(`hidden_states.${i + 1}`), tolerance);
      }
      const stages = [...expected.keys()].filter((key) => key.startsWith('hidden_states.'));
      assert.equal(clip.layers.length + 1, stages.length);
      clip.dispose();
    });

    test(`${name}: packed, the same features`, async () => {
      using _scope = Scope.open();
      const clip = loaded(given).pack();
      const features = noGradients(() => clip.forward(toTensor(inputs.get('pixel_values')!)));
      await expectGolden('features', features, expected.get('features'), tolerance);
      clip.dispose();
    });

    test(`${name}: sizes from shapes`, () =>
      assert.deepEqual(inferClipConfig(shapesOf(weights), { heads: given.heads }), { ...parseClipConfig(json) }));
  }

  const tiny: ClipConfig = { ...parseClipConfig(modelGoldens(isClip)[0]!.config), imageSize: 28, patchSize: 14 };

  test('hands on the class token where it is asked for', () => {
    using _scope = Scope.open();
    const clip = new Clip({ ...tiny, selectFeature: 'cls_patch' }).initialize(1);
    assert.deepEqual([...clip.forward(randn([1, 3, 28, 28], 1)).shape], [1, 5, tiny.dim]);
    clip.dispose();
  });

  test('trains: every weight gets a gradient', async () => {
    using _scope = Scope.open();
    const clip = new Clip(tiny).initialize(1).train(() => true);
    const features = clip.forward(randn([2, 3, 28, 28], 1));
    backward(features, randn(features.shape, 2));
    for (const [key, { grad }] of clip.namedParameters()) {
      assert.ok(grad, `${key} got no gradient`);
      assert.ok(
        (await grad.read()).some((value) => value !== 0),
        key,
      );
      grad.dispose();
    }
    clip.dispose();
  });

  test('leaves nothing behind', async () => {
    await collectGarbage();
    const clip = new Clip(tiny).initialize(1);
    const pixels = randn([1, 3, 28, 28], 1);
    await synchronize();
    const before = memory(device).liveBytes;
    tidy(() => void noGradients(() => clip.forward(pixels)));
    await synchronize();
    assert.equal(memory(device).liveBytes, before);
    pixels.dispose();
    clip.dispose();
  });
});
