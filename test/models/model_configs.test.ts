import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { configsOf, mglmmConfigOf, modelParts, openModelFolder } from '../../lib';
import { goldenFolder } from '../support/golden';
import { safetensorsOf, temporaryFolder, type WrittenTensor } from '../support/weights';

const tiny = join(goldenFolder, 'mglmm-tiny');
const { vision_tower, llm, clip } = JSON.parse(readFileSync(join(tiny, 'config.json'), 'utf8')) as {
  vision_tower: string;
  llm: Record<string, number>;
  clip: Record<string, number>;
};

/** Tensors of these shapes, all zero. */
const zeros = (shapes: Record<string, number[]>): Record<string, WrittenTensor> =>
  Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, { dtype: 'U8', shape, bytes: new Uint8Array(shape.reduce((a, b) => a * b, 1)) }]),
  );

describe('configurations of a folder', () => {
  test('are those of the golden model', async () => {
    const config = mglmmConfigOf(await openModelFolder(join(tiny, 'checkpoint')));
    assert.deepEqual(
      [config.llama.dim, config.llama.heads, config.llama.vocabSize],
      [llm.hidden_size, llm.num_attention_heads, llm.vocab_size],
    );
    assert.deepEqual([config.clip.dim, config.clip.imageSize], [clip.hidden_size, clip.image_size]);
    assert.equal(config.projector, 'mlp');
    assert.equal(
      mglmmConfigOf(await openModelFolder(join(tiny, 'checkpoints/lisa'), { clip: join(tiny, vision_tower) })).projector,
      'linear',
    );
  });

  test('need a language model and a tower', async () => {
    await assert.rejects(async () => mglmmConfigOf(await openModelFolder(join(tiny, vision_tower))), {
      code: 'MGLMM_ARGUMENT',
      message: /holds a clip without a language model, expected a model that answers$/,
    });
    await assert.rejects(async () => mglmmConfigOf(await openModelFolder(join(tiny, 'checkpoints/lisa'))), {
      code: 'MGLMM_ARGUMENT',
      message: new RegExp(`has no CLIP tower, expected ${vision_tower} in it or beside it: say where with clip$`),
    });
  });

  test('take from shapes what a text_config of llava-hf leaves out', async () => {
    using folder = temporaryFolder();
    const tensors = zeros({
      'language_model.model.embed_tokens.weight': [9, 256],
      'language_model.model.layers.0.self_attn.q_proj.weight': [256, 256],
      'language_model.model.layers.0.self_attn.k_proj.weight': [128, 256],
      'language_model.model.layers.0.mlp.gate_proj.weight': [24, 256],
      'multi_modal_projector.linear_1.weight': [256, 16],
    });
    folder.file('model.safetensors', safetensorsOf(tensors));
    folder.file('config.json', JSON.stringify({ text_config: { rms_norm_eps: 1e-5, vocab_size: 9 } }));
    const model = await openModelFolder(folder.path);
    const { llama } = configsOf(model);
    assert.deepEqual([llama?.dim, llama?.heads, llama?.kvHeads, llama?.mlpDim, llama?.depth, llama?.eps], [256, 2, 1, 24, 1, 1e-5]);
    const { missing, difference } = modelParts(model);
    assert.deepEqual(missing, ['clip']);
    assert.ok(difference.missing.includes('model.mm_projector.2.weight') && difference.missing.includes('model.norm.weight'));
    assert.deepEqual([difference.unexpected, difference.misshapen], [[], []]);
  });
});
