import { strict as assert } from 'node:assert';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { loadAdapter, type MglmmForCausalLM, nn, noGradients, openCheckpoint, Scope, type Tensor, writeAdapter } from '../../lib';
import { mglmm } from '../support/command';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { loadGolden, mglmmGoldens } from '../support/mglmm_golden';
import { tinyModel } from '../support/tiny_model';
import { floats, safetensorsOf, temporaryFolder } from '../support/weights';

const [golden] = mglmmGoldens();
assert.ok(golden);

const whole = ['lm_head.weight', 'model.mm_projector.0.bias'];

async function adapted(): Promise<MglmmForCausalLM> {
  assert.ok(golden);
  const model = await loadGolden(golden);
  nn.addLoraTo(model, (key) => /^model\.layers\.\d\.(self_attn\.[qv]|mlp\.up)_proj$/.test(key), { rank: 3, alpha: 6, dropout: 0.1 });
  for (const [i, [, layer]] of [...nn.loraLayers(model)].entries()) {
    using _scope = Scope.open();
    layer.loadSome(
      new Map([
        ['lora_A', randn(layer.loraA.shape, i)],
        ['lora_B', randn(layer.loraB.shape, 100 + i)],
      ]),
    );
  }
  using _scope = Scope.open();
  const state = model.stateDict();
  model.loadSome(new Map(whole.map((key, i) => [key, randn((state.get(key) as Tensor).shape, 50 + i)])));
  return model;
}

async function logitsOf(model: MglmmForCausalLM): Promise<ArrayLike<number>> {
  using _scope = Scope.open();
  return noGradients(() => {
    const states = model.model.forward(model.embed([[1, 5, 9, 30, 12]]));
    return model.logits(states).read();
  });
}

onEveryDevice('an adapter', () => {
  test('comes back as it was, under the names of PEFT', async () => {
    using folder = temporaryFolder();
    const model = await adapted();
    await writeAdapter(folder.path, model, { whole, baseName: 'base' });
    const checkpoint = await openCheckpoint(join(folder.path, 'adapter_model.safetensors'));
    const layers = [...nn.loraLayers(model).keys()];
    assert.deepEqual(
      [...checkpoint.names].sort(),
      [...layers.flatMap((key) => [`${key}.lora_A.weight`, `${key}.lora_B.weight`]), ...whole]
        .map((key) => `base_model.model.${key}`)
        .sort(),
    );
    const config = JSON.parse(readFileSync(join(folder.path, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual(
      [config.peft_type, config.r, config.lora_alpha, config.lora_dropout, config.base_model_name_or_path, config.modules_to_save],
      ['LORA', 3, 6, 0.1, 'base', ['lm_head', 'model.mm_projector.0']],
    );
    // SAM's decoder has a q_proj too.
    assert.deepEqual(config.target_modules, layers);
    assert.ok(golden);
    const other = await loadGolden(golden);
    assert.deepEqual(await loadAdapter(folder.path, other), { layers, whole: [...whole].reverse() });
    assert.deepEqual(await logitsOf(other), await logitsOf(model));
    model.dispose();
    other.dispose();
  });

  test('may be of an encoder alone', async () => {
    assert.ok(golden);
    using folder = temporaryFolder();
    for (const part of ['vision_tower', 'image_encoder']) {
      const model = await loadGolden(golden);
      const other = await loadGolden(golden);
      nn.addLoraTo(model, (key) => key.includes(part), { rank: 1, alpha: 1 });
      for (const layer of nn.loraLayers(model).values()) layer.resetUpdate(1);
      await writeAdapter(join(folder.path, part), model);
      assert.deepEqual((await loadAdapter(join(folder.path, part), other)).layers, [...nn.loraLayers(model).keys()]);
      model.dispose();
      other.dispose();
    }
  });

  test('is taken up by mglmm merge', async () => {
    assert.ok(golden);
    using folder = temporaryFolder();
    using base = tinyModel(golden);
    const model = await adapted();
    await writeAdapter(join(folder.path, 'adapter'), model, { whole, baseName: base.path });
    const { code, err } = await mglmm(['merge', join(folder.path, 'adapter'), join(folder.path, 'merged')]);
    assert.equal(code, 0, err);
    const merged = await openCheckpoint(join(folder.path, 'merged'));
    assert.deepEqual(await (await merged.load('lm_head.weight')).read(), await model.lmHead?.weight.read());
    model.dispose();
  });

  test('has short names of targets where they are no other layers', async () => {
    using folder = temporaryFolder();
    const module = new nn.Sequential(new nn.Linear(4, 4).initialize(1), new nn.Linear(4, 4).initialize(2));
    nn.addLoraTo(module, () => true, { rank: 2, alpha: 2 });
    for (const layer of nn.loraLayers(module).values()) layer.resetUpdate(1);
    await writeAdapter(folder.path, module);
    const config = JSON.parse(readFileSync(join(folder.path, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;
    assert.deepEqual([config.target_modules, config.modules_to_save, config.base_model_name_or_path], [['0', '1'], null, null]);
    module.dispose();
  });

  test('says what does not fit, and changes nothing', async () => {
    assert.ok(golden);
    using folder = temporaryFolder();
    const model = await loadGolden(golden);
    const keys = [...model.stateDict().keys()];
    const says = async (tensors: Record<string, number[]>, message: RegExp) => {
      const written = Object.fromEntries(
        Object.entries(tensors).map(([name, shape]) => [name, floats(shape, new Array<number>(shape.reduce((a, b) => a * b, 1)).fill(0))]),
      );
      writeFileSync(join(folder.path, 'adapter_model.safetensors'), safetensorsOf(written));
      await assert.rejects(loadAdapter(folder.path, model), { name: 'CheckpointError', message });
      assert.deepEqual([...model.stateDict().keys()], keys);
    };
    await assert.rejects(loadAdapter(folder.path, model), {
      name: 'CheckpointError',
      message: /has no adapter_config\.json, expected the folder of a PEFT/,
    });
    writeFileSync(join(folder.path, 'adapter_config.json'), '{"lora_alpha": 4}');
    const q = 'base_model.model.model.layers.0.self_attn.q_proj';
    await says({ [`${q}.lora_A.weight`]: [2, 32] }, /q_proj has half of a LoRA$/);
    await says(
      { [`${q}.lora_A.weight`]: [2, 31], [`${q}.lora_B.weight`]: [32, 2] },
      /has lora_A \[2, 31\] and lora_B \[32, 2\], expected \[r, 32\] and \[32, r\]$/,
    );
    const far = q.replace('layers.0', 'layers.9');
    await says(
      { [`${far}.lora_A.weight`]: [2, 32], [`${far}.lora_B.weight`]: [32, 2] },
      /layers\.9\.self_attn\.q_proj has no weight in the model$/,
    );
    const good = { [`${q}.lora_A.weight`]: [2, 32], [`${q}.lora_B.weight`]: [32, 2] };
    const table = 'base_model.model.model.embed_tokens';
    await says(
      { ...good, [`${table}.lora_A.weight`]: [2, 32], [`${table}.lora_B.weight`]: [80, 2] },
      /embed_tokens is no linear layer without LoRA, expected one$/,
    );
    await says({ ...good, 'base_model.model.lm_head.weight': [3, 32] }, /lm_head\.weight is \[3, 32\], expected \[80, 32\]$/);
    await assert.rejects(writeAdapter(folder.path, model), {
      name: 'CheckpointError',
      message: 'adapter: the module has no LoRA, expected some: see addLoraTo',
    });
    nn.addLoraTo(model, (key) => key.endsWith('layers.0.self_attn.q_proj'), { rank: 2, alpha: 2 });
    nn.addLoraTo(model, (key) => key.endsWith('layers.1.self_attn.q_proj'), { rank: 3, alpha: 2 });
    await assert.rejects(writeAdapter(folder.path, model), {
      name: 'CheckpointError',
      message: /of model\.layers\.1\.self_attn\.q_proj has another rank/,
    });
    model.dispose();
  });
});
