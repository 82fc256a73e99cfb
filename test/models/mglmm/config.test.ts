import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { imageTokens, inferMglmmConfig, MglmmForCausalLM, parseMglmmConfig } from '../../../lib';

const llama = { hidden_size: 64, intermediate_size: 96, num_attention_heads: 4, num_hidden_layers: 2, vocab_size: 10 };
const clip = { hidden_size: 16, intermediate_size: 40, num_hidden_layers: 3, num_attention_heads: 2, image_size: 56, patch_size: 14 };
const sam = {
  image_size: 64,
  patch_size: 8,
  encoder_embed_dim: 16,
  encoder_depth: 2,
  encoder_num_heads: 2,
  encoder_global_attn_indexes: [1],
  window_size: 3,
  mlp_ratio: 2,
  prompt_embed_dim: 16,
  decoder_num_heads: 2,
  decoder_mlp_dim: 32,
  iou_head_hidden_dim: 16,
};

describe('parseMglmmConfig', () => {
  test('finds published parts by their names', () => {
    const config = parseMglmmConfig({
      ...llama,
      mm_vision_tower: 'openai/clip-vit-large-patch14-336',
      vision_pretrained: './sam_vit_h_4b8939.pth',
    });
    assert.deepEqual([config.clip.imageSize, config.clip.dim, config.clip.selectLayer], [336, 1024, -2]);
    assert.deepEqual([config.sam?.dim, config.sam?.depth], [1280, 32]);
    assert.equal(config.projector, 'mlp');
    assert.equal(imageTokens(config), 576);
  });

  test('takes the sizes of folders, and of shapes what they do not say', () => {
    const json = { ...llama, segment_encoder_config: sam, mm_vision_select_layer: -1 };
    const config = parseMglmmConfig(json, { clip: { vision_config: clip }, shapes: new Map([['model.mm_projector.weight', [64, 16]]]) });
    assert.equal(config.projector, 'linear');
    assert.deepEqual([config.clip.dim, config.clip.selectLayer, config.sam?.dim], [16, -1, 16]);
    assert.equal(imageTokens(config), 16);
  });

  test('reads the nested config of llava-hf, which makes no masks', () => {
    const config = parseMglmmConfig({ text_config: llama, vision_config: clip, vision_feature_layer: -2 });
    assert.deepEqual([config.llama.dim, config.clip.dim, config.sam], [64, 16, undefined]);
    const model = new MglmmForCausalLM(config);
    const says = (body: () => unknown, message: string) => assert.throws(body, { name: 'ArgumentError', message });
    says(() => model.sam, 'mglmm: this checkpoint has no Segment Anything, expected one of a model that makes masks');
    says(
      () => model.segPrompts(model.model.norm.weight),
      'mglmm: this checkpoint has no text_hidden_fcs, expected one of a model that makes masks',
    );
    model.dispose();
  });

  const says = (json: unknown, message: string) =>
    test(message, () => assert.throws(() => parseMglmmConfig(json), { name: 'ArgumentError', code: 'MGLMM_ARGUMENT', message }));
  says(3, 'mglmm: config.json does not describe a model: config: Invalid input: expected object, received number');
  says(
    { ...llama, vision_tower: 'somewhere/else' },
    'mglmm: the vision tower is somewhere/else, expected the config.json of its folder, or one of vit-large-patch14-336, vit-large-patch14',
  );
  says(
    { ...llama, vision_config: clip, mm_projector_type: 'mlp3x' },
    'mglmm: mm_projector_type is "mlp3x", expected "mlp2x_gelu" or "linear"',
  );
});

test('inferMglmmConfig knows a model by its own shapes', () => {
  const config = parseMglmmConfig({ ...llama, segment_encoder_config: sam }, { clip });
  const model = new MglmmForCausalLM(config);
  const shapes = new Map([...model.stateDict()].map(([key, { shape }]) => [key, shape]));
  const { headDim, eps } = config.llama;
  const known = { llama: { headDim, eps }, clip: { heads: 2, depth: config.clip.depth }, sam: { decoderHeads: 2 } };
  assert.deepEqual(inferMglmmConfig(shapes, known), config);
  model.dispose();
});

test('pads pictures where config.json says so and no masks are made', () => {
  const parse = (ratio?: string, more: object = {}) => parseMglmmConfig({ ...llama, image_aspect_ratio: ratio, ...more }, { clip }).clip;
  assert.equal(parse('pad').padToSquare, true);
  assert.equal(parse('square').padToSquare, undefined);
  assert.equal(parse().padToSquare, undefined);
  assert.equal(parse('pad', { segment_encoder_config: sam }).padToSquare, undefined);
});
