import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { inferSamConfig, parseSamConfig, Sam, samPresets } from '../../../lib';

const shapes = (sam: Sam) => new Map([...sam.namedParameters()].map(([key, { shape }]) => [key, shape]));
const count = (parameters: { count: number }[]) => parameters.reduce((sum, one) => sum + one.count, 0);
const json = {
  image_size: 1024,
  patch_size: 16,
  encoder_embed_dim: 768,
  encoder_depth: 12,
  encoder_num_heads: 12,
  encoder_global_attn_indexes: [2, 5, 8, 11],
};

describe('sam config', () => {
  const encoderParameters = { vit_h: 637_026_048, vit_l: 308_278_272, vit_b: 89_670_912 };
  for (const [name, expected] of Object.entries(encoderParameters))
    test(`${name} is what its shapes say, with as many parameters as published`, () => {
      const config = samPresets[name as keyof typeof samPresets];
      const sam = new Sam(config);
      assert.equal(count(sam.imageEncoder.parameters()), expected);
      const frequencies = 2 * (config.promptDim / 2); // a buffer in PyTorch, which counts no buffers
      assert.equal(count(sam.promptEncoder.parameters()), 6_220 + frequencies);
      assert.equal(count(sam.maskDecoder.parameters()), 4_058_340);
      assert.deepEqual(inferSamConfig(shapes(sam)), config);
    });

  test('config.json needs the encoder alone', () => assert.deepEqual(parseSamConfig(json), samPresets.vit_b));

  const refused: [string, () => unknown, string][] = [
    ['no object', () => parseSamConfig(undefined), 'sam: config.json does not describe a segment-anything model: config: '],
    ['a missing field', () => parseSamConfig({ ...json, encoder_depth: undefined }), 'encoder_depth: '],
    [
      'heads that do not divide',
      () => parseSamConfig({ ...json, encoder_num_heads: 7 }),
      'sam: heads is 7, expected a divisor of dim, 768',
    ],
    ['a cut patch', () => parseSamConfig({ ...json, image_size: 1000 }), 'sam: imageSize is 1000, expected a multiple of patchSize, 16'],
    [
      'a block that is not there',
      () => parseSamConfig({ ...json, encoder_global_attn_indexes: [12] }),
      'sam: globalBlocks is 12, expected below depth, 12',
    ],
    ['an odd width of prompts', () => parseSamConfig({ ...json, prompt_embed_dim: 12 }), 'sam: promptDim is 12, expected a multiple of 8'],
    ['heads of the decoder', () => parseSamConfig({ ...json, decoder_num_heads: 7 }), 'sam: decoderHeads is 7, expected a divisor of 128'],
    ['odd channels of masks', () => parseSamConfig({ ...json, mask_in_chans: 6 }), 'sam: maskChannels is 6, expected a multiple of 4'],
    ['shapes of something else', () => inferSamConfig(new Map()), 'sam: the checkpoint has no image_encoder.pos_embed'],
  ];
  for (const [what, body, message] of refused)
    test(`refuses ${what}`, () =>
      assert.throws(
        body,
        (error: Error) => error.name === 'ArgumentError' && (error.message.includes(message) || assert.fail(error.message)),
      ));
});
