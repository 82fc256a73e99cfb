import { strict as assert } from 'node:assert';
import { appendFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { stringify } from 'yaml';
import { Mglmm, openCheckpoint } from '../../lib';
import { formatDuration } from '../../lib/cli/train';
import { mglmm } from '../support/command';
import { mglmmGoldens } from '../support/mglmm_golden';
import { badLines, writeSamples } from '../support/samples';
import { tinyModel } from '../support/tiny_model';
import { tinySizes, writeTinyTokenizer } from '../support/tiny_training';
import { temporaryFolder } from '../support/weights';

type Folder = ReturnType<typeof temporaryFolder>;

async function writeConfig(folder: Folder, change: object = {}): Promise<string> {
  await writeSamples(folder, 6, 'train');
  await writeSamples(folder, 3, 'held');
  writeTinyTokenizer(folder.path);
  return folder.file(
    'run.yaml',
    stringify({
      model: { sizes: tinySizes, tokenizer: '.', dtype: 'f32' },
      data: [{ path: 'train.jsonl' }],
      output: 'run',
      steps: 4,
      accumulation: 2,
      trainable: 'full',
      lora: null,
      optimizer: { lr: 1e-3, warmupSteps: 1 },
      snapshots: { every: 2 },
      evaluation: { data: [{ path: 'held.jsonl' }], every: 2, batches: 1, metric: 'giou' },
      ...change,
    }),
  );
}

describe('mglmm train', () => {
  test('trains a new model, tells its figures, and writes a model that answers', async () => {
    using folder = temporaryFolder();
    const { code, out, err } = await mglmm(['train', await writeConfig(folder)]);
    assert.equal(code, 0, err);
    assert.match(
      err,
      /step 1 of 4 {2}loss \d+\.\d{4} \(text \d+\.\d{4}(, masks \d+\.\d{4})?\) {2}lr \S+ {2}\d+\.\d\d samples\/s, \d+ s left\n/,
    );
    assert.match(err, /step 4 of 4/);
    assert.match(
      err,
      /snapshot .*step-00000002\nevaluation after step 2: loss \d+\.\d{4}, gIoU 0\.\d{4}, cIoU 0\.\d{4}, the best so far\n/,
    );
    assert.match(
      out,
      /^samples 16, tokens \d+, masks \d+, bad samples 0, steps left out 0, masks left over 0, cut 0\nmemory: weights [\d.]+ [kM]B, gradients [\d.]+ [kM]B, optimizer [\d.]+ [kM]B, activations [\d.]+ [kM]B, cache 0 bytes\nbest giou 0\.\d{4} after step [24]\n/,
    );
    assert.ok(existsSync(join(folder.path, 'run/loss.png')));
    await using model = await Mglmm.load(join(folder.path, 'run/model'));
    const answer = await model.answer({ image: join(folder.path, 'pictures/0.png'), prompt: 'What is there?', maxNewTokens: 3 });
    assert.ok(answer.usage.newTokens > 0);
  });

  test('trains on scenes, and is evaluated on others', async () => {
    using folder = temporaryFolder();
    const scenes = (split: string) => ({ scenes: { split, size: 32, tasks: { caption: 1, refer: 1 } } });
    const evaluation = { data: [scenes('val')], every: 2, batches: 1 };
    const config = await writeConfig(folder, { data: [scenes('train'), { path: 'train.jsonl' }], steps: 2, maxLength: 400, evaluation });
    const { code, out, err } = await mglmm(['train', config]);
    assert.equal(code, 0, err);
    assert.match(out, /^samples 8, tokens \d+, masks [1-9]\d*, bad samples 0, /);
    assert.match(err, /evaluation after step 2: loss \d/);
  });

  test('trains on the sets that scenes write, in formats of their own', async () => {
    using folder = temporaryFolder();
    const made = await mglmm(['scenes', '--out', folder.file('set'), '--count', '3', '--size', '64']);
    assert.equal(made.code, 0, made.err);
    const data = [
      { mgsc: { annotations: 'set/annotations', images: 'set/images', split: 'set/MGLMM_train_split.txt' } },
      { cocoPanoptic: { annotations: 'set/panoptic.json', segments: 'set/panoptic', images: 'set/images' } },
    ];
    const config = await writeConfig(folder, { data, steps: 2, maxLength: 900, evaluation: {} });
    const { code, out, err } = await mglmm(['train', config]);
    assert.equal(code, 0, err);
    assert.match(out, /^samples 8, tokens \d+, masks [1-9]\d*, bad samples 0, /);
  });

  test('trains LoRA beside a model, writes its adapter, goes on when it was stopped', async () => {
    const [golden] = mglmmGoldens();
    assert.ok(golden);
    using folder = temporaryFolder();
    using base = tinyModel(golden);
    const config = await writeConfig(folder, { model: { path: base.path }, trainable: 'mglmm', lora: { rank: 2 } });
    const controller = new AbortController();
    const running = mglmm(['train', config], { signal: controller.signal });
    const log = join(folder.path, 'run/log.jsonl');
    while (!existsSync(log) || !readFileSync(log, 'utf8').includes('\n')) await new Promise((resolve) => setTimeout(resolve, 5));
    controller.abort();
    const stopped = await running;
    assert.equal(stopped.code, 130, stopped.err);
    assert.match(stopped.err, /snapshot .*\nmglmm: interrupted\n$/);
    const again = await mglmm(['train', config]);
    assert.deepEqual([again.code, /resume that run, or give another output/.test(again.err)], [1, true]);
    const { code, out, err } = await mglmm(['train', config, '--resume']);
    assert.equal(code, 0, err);
    assert.match(err, /^goes on after step \d\n/);
    const adapter = join(folder.path, 'run/adapter');
    assert.ok(out.includes(`${adapter}\n`));
    const { names } = await openCheckpoint(join(adapter, 'adapter_model.safetensors'));
    assert.ok(
      names.includes('base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight') && names.includes('base_model.model.lm_head.weight'),
    );
    assert.ok(!names.some((name) => name.includes('image_encoder')));
    const merged = await mglmm(['merge', adapter, join(folder.path, 'merged')]);
    assert.equal(merged.code, 0, merged.err);
  });

  test('says before a run what it will need', async () => {
    using folder = temporaryFolder();
    const { code, out, err } = await mglmm(['train', await writeConfig(folder), '--dry-run']);
    assert.equal(code, 0, err);
    for (const name of ['parameters', 'trained', 'weights', 'gradients', 'optimizer', 'activations', 'cache', 'total', 'samples'])
      assert.match(out, new RegExp(`^${name} +\\S`, 'm'));
    assert.match(out, /^samples +16$/m);
    assert.ok(!existsSync(join(folder.path, 'run')));
  });

  test('opens before a run the data that it will need', async () => {
    using folder = temporaryFolder();
    const none = [{ path: 'none.jsonl' }];
    for (const change of [{ data: none }, { evaluation: { data: none } }, { pretraining: { data: none } }]) {
      const { code, out, err } = await mglmm(['train', await writeConfig(folder, change), '--dry-run']);
      assert.deepEqual([code, out, err], [1, '', `mglmm: ${join(folder.path, 'none.jsonl')}: does not exist\n`]);
    }
  });

  test('leaves out samples that cannot be trained on where it is told to, and counts them', async () => {
    using folder = temporaryFolder();
    const config = await writeConfig(folder, { onBadSample: 'skip', evaluation: {}, steps: 6 });
    for (const [, line] of await badLines(folder)) appendFileSync(join(folder.path, 'train.jsonl'), `${line}\n`);
    const { code, out, err } = await mglmm(['train', config]);
    assert.equal(code, 0, err);
    assert.match(out, /bad samples [1-9]\d*,/);
    assert.match(err, /^left out: .*train\.jsonl:\d+: /m);
    const strict = await mglmm(['train', await writeConfig(folder, { output: 'other', data: [{ path: 'bad.jsonl' }] })]);
    assert.deepEqual([strict.code, strict.err], [1, `mglmm: ${join(folder.path, 'bad.jsonl')}: does not exist\n`]);
  });

  test('lists the fields of its file, and asks for one', async () => {
    const { out } = await mglmm(['train', '--fields']);
    assert.match(out, /^optimizer\.lr +0\.0003 +highest learning rate$/m);
    const { code, err } = await mglmm(['train']);
    assert.notEqual(code, 0);
    assert.match(err, /train: no configuration is given: expected the path of a YAML file/);
  });

  test('tells durations', () => assert.deepEqual([0.4, 59, 61, 3725].map(formatDuration), ['0 s', '59 s', '1 min 01 s', '1 h 02 min']));
});
