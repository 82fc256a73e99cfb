import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { Clip, clipPresets, inferClipConfig, isUnusedClipKey, parseClipConfig } from '../../../lib';
import { usedLayers } from '../../../lib/models/clip/config';

const large = clipPresets['vit-large-patch14-336'];
const shapes = (clip: Clip) => new Map([...clip.namedParameters()].map(([key, { shape }]) => [key, shape]));
const json = {
  image_size: 336,
  patch_size: 14,
  hidden_size: 1024,
  intermediate_size: 4096,
  num_hidden_layers: 24,
  num_attention_heads: 16,
};

describe('clip config', () => {
  test('the published towers are what their config.json and their shapes say', () => {
    assert.deepEqual(parseClipConfig({ model_type: 'clip', vision_config: json }), large);
    assert.deepEqual(parseClipConfig(json), large);
    const all = new Clip({ ...large, selectLayer: -1 });
    assert.deepEqual(inferClipConfig(shapes(all)), large);
    const small = new Clip({ ...clipPresets['vit-large-patch14'], selectLayer: -1 });
    assert.deepEqual(inferClipConfig(shapes(small)), clipPresets['vit-large-patch14']);
  });

  test('the published tower has 303,507,456 parameters, of which the feature needs 290,909,184', () => {
    const count = (clip: Clip) => clip.parameters().reduce((sum, one) => sum + one.count, 0);
    const postNorm = 2 * large.dim;
    assert.equal(count(new Clip({ ...large, selectLayer: -1 })) + postNorm, 303_507_456);
    assert.equal(count(new Clip(large)), 290_909_184);
  });

  test('selectLayer counts from both ends', () => {
    const layers = [-1, -2, -25, 0, 23, 24].map((selectLayer) => usedLayers({ ...large, selectLayer }));
    assert.deepEqual(layers, [24, 23, 0, 0, 23, 24]);
  });

  test('knows the keys of a published CLIP that the feature does not need', () => {
    const unused = [
      'text_model.final_layer_norm.weight',
      'visual_projection.weight',
      'text_projection.weight',
      'logit_scale',
      'vision_model.embeddings.position_ids',
      'vision_model.post_layernorm.bias',
      'vision_model.encoder.layers.23.mlp.fc1.weight',
    ];
    const used = ['vision_model.encoder.layers.22.mlp.fc1.weight', 'vision_model.pre_layrnorm.weight', 'lm_head.weight'];
    assert.deepEqual(
      unused.filter((key) => !isUnusedClipKey(key, large)),
      [],
    );
    assert.deepEqual(
      used.filter((key) => isUnusedClipKey(key, large)),
      [],
    );
  });

  const refused: [string, () => unknown, string][] = [
    ['no object', () => parseClipConfig('clip'), 'clip: config.json does not describe a vision tower: config: '],
    ['a missing field', () => parseClipConfig({ vision_config: { ...json, hidden_size: undefined } }), 'hidden_size: '],
    ['another activation', () => parseClipConfig({ ...json, hidden_act: 'silu' }), 'hidden_act: '],
    [
      'heads that do not divide',
      () => parseClipConfig({ ...json, num_attention_heads: 15 }),
      'clip: heads is 15, expected a divisor of dim, 1024',
    ],
    ['a cut patch', () => parseClipConfig({ ...json, image_size: 335 }), 'clip: imageSize is 335, expected a multiple of patchSize, 14'],
    [
      'a layer too far',
      () => inferClipConfig(shapes(new Clip(large)), { selectLayer: 30 }),
      'clip: selectLayer is 30, expected within the 23 layers',
    ],
    [
      'shapes of something else',
      () => inferClipConfig(new Map()),
      'clip: the checkpoint has no vision_model.embeddings.patch_embedding.weight',
    ],
  ];
  for (const [what, body, message] of refused)
    test(`refuses ${what}`, () =>
      assert.throws(
        body,
        (error: Error) => error.name === 'ArgumentError' && (error.message.includes(message) || assert.fail(error.message)),
      ));
});
