import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { clipPrefix, layoutOf, partOf, samPrefix, under } from '../../lib';

/** The keys of a checkpoint's names. */
const keys = (...names: string[]) => names.map(layoutOf(names).keyOf);
const layer = 'model.layers.0.self_attn.q_proj.weight';
const encoder = 'image_encoder.pos_embed';

describe('layouts', () => {
  test('MGLMM, and buffers that it saves', () => {
    assert.deepEqual(keys(layer, `model.segment_encoder.${encoder}`, 'model.layers.0.self_attn.rotary_emb.inv_freq'), [
      layer,
      samPrefix + encoder,
      null,
    ]);
    assert.equal(layoutOf([layer, `model.segment_encoder.${encoder}`]).family, 'mglmm');
  });

  test('GLaMM and LISA', () => {
    const glamm = [layer, `model.grounding_encoder.${encoder}`, 'model.region_encoder.mlvl_fuse.input_conv.0.weight'];
    assert.equal(layoutOf(glamm).family, 'glamm');
    assert.deepEqual(keys(...glamm), [layer, samPrefix + encoder, null]);
    const lisa = [layer, `model.visual_model.${encoder}`, 'model.mm_projector.weight'];
    assert.equal(layoutOf(lisa).family, 'lisa');
    assert.deepEqual(keys(...lisa), [layer, samPrefix + encoder, 'model.mm_projector.weight']);
  });

  test('LLaVA, its own and that of Hugging Face, before and after they moved its parts', () => {
    const tower = 'vision_model.pre_layrnorm.weight';
    const own = [layer, 'lm_head.weight', 'model.mm_projector.0.weight', `model.vision_tower.vision_tower.${tower}`];
    assert.equal(layoutOf(own).family, 'llava');
    assert.deepEqual(keys(...own), own);
    const expected = [layer, 'lm_head.weight', 'model.mm_projector.0.weight', 'model.mm_projector.2.bias', clipPrefix + tower];
    const before = [
      `language_model.${layer}`,
      'language_model.lm_head.weight',
      'multi_modal_projector.linear_1.weight',
      'multi_modal_projector.linear_2.bias',
      `vision_tower.${tower}`,
    ];
    const after = [
      layer.replace('model.', 'model.language_model.'),
      'lm_head.weight',
      'model.multi_modal_projector.linear_1.weight',
      'model.multi_modal_projector.linear_2.bias',
      `model.vision_tower.${tower}`,
    ];
    for (const names of [before, after]) {
      assert.equal(layoutOf(names).family, 'llava-hf');
      assert.deepEqual(keys(...names), expected);
    }
  });

  test('towers alone, and within a model', () => {
    const clip = [
      'vision_model.pre_layrnorm.weight',
      'text_model.final_layer_norm.weight',
      'logit_scale',
      'text_projection.weight',
      'vision_model.embeddings.position_ids',
    ];
    assert.equal(layoutOf(clip).family, 'clip');
    assert.deepEqual(keys(...clip), [clip[0], null, null, null, null]);
    assert.equal(under(clipPrefix, layoutOf(clip)).keyOf(clip[0] as string), clipPrefix + clip[0]);
    assert.equal(under(clipPrefix, layoutOf(clip)).keyOf('logit_scale'), null);
    assert.equal(layoutOf([encoder]).family, 'sam');
    assert.equal(layoutOf([layer, 'lm_head.weight']).family, 'llama');
  });

  test('dumps of training: wrappers, LoRA, layers that were trained whole', () => {
    const names = [
      'base_model.model.model.layers.0.self_attn.q_proj.base_layer.weight',
      'base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight',
      'base_model.model.model.layers.0.self_attn.q_proj.lora_B.weight',
      'base_model.model.lm_head.modules_to_save.default.weight',
      'base_model.model.lm_head.original_module.weight',
      `module.base_model.model.model.visual_model.${encoder}`,
    ];
    assert.equal(layoutOf(names).family, 'lisa');
    assert.equal(layoutOf(names).lora, true);
    assert.deepEqual(keys(...names), [
      layer,
      'model.layers.0.self_attn.q_proj.lora_A',
      'model.layers.0.self_attn.q_proj.lora_B',
      'lm_head.weight',
      null,
      samPrefix + encoder,
    ]);
  });

  test('what is of none is refused', () => {
    assert.throws(() => layoutOf(['a', 'b', 'c', 'd']), {
      code: 'MGLMM_CHECKPOINT',
      message: 'the tensors are of no known model: a, b, c ...; known are mglmm, glamm, lisa, llava-hf, llava, llama, sam, clip',
    });
    assert.throws(() => layoutOf([]), { message: /of no known model: no tensors;/ });
  });

  test('parts are told by key', () => {
    const parts = [
      layer,
      'lm_head.weight',
      'model.norm.weight',
      'model.mm_projector.0.bias',
      'model.text_hidden_fcs.0.2.bias',
      samPrefix + encoder,
      encoder,
      `${clipPrefix}vision_model.x`,
      'vision_model.x',
      'model.region_encoder.x',
    ];
    assert.deepEqual(parts.map(partOf), ['llama', 'llama', 'llama', 'projector', 'textHiddenFcs', 'sam', 'sam', 'clip', 'clip', 'other']);
  });
});
