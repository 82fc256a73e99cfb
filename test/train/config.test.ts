import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { configFields, parseConfig, readConfig, type TrainConfig, train } from '../../lib';
import { decisivePart } from '../../lib/train/config';
import { temporaryFolder } from '../support/weights';

const least = { model: { path: 'model' }, data: [{ path: 'a.jsonl' }], output: 'out' };

describe('a configuration', () => {
  test('has the published settings where it is silent, and paths from its file', async () => {
    using folder = temporaryFolder();
    const file = folder.file('run.yaml', 'model: { path: model }\ndata:\n  - path: a.jsonl\noutput: out\n');
    const config = await readConfig(file);
    assert.deepEqual(
      [config.model.path, config.data, config.output],
      [join(folder.path, 'model'), [{ path: join(folder.path, 'a.jsonl'), weight: 1 }], join(folder.path, 'out')],
    );
    assert.deepEqual(config.lora, { rank: 8, alpha: 16, dropout: 0.05, targets: ['q_proj', 'v_proj'], within: '^model\\.layers\\.' });
    assert.deepEqual(
      [config.optimizer.lr, config.optimizer.betas, config.optimizer.maxNorm, config.loss],
      [3e-4, [0.9, 0.95], 1, { ce: 1, bce: 2, dice: 0.5, scenes: 0, map: 0, iou: 0 }],
    );
    assert.deepEqual(parseConfig(least, folder.path), config);
  });

  test('is looked at by train as well, which one that was parsed comes through as it is', async () => {
    const all = { ...least, evaluation: { data: least.data }, pretraining: {}, lora: null, device: 'cuda:1' };
    for (const given of [least, all]) assert.deepEqual(parseConfig(parseConfig(given)), parseConfig(given));
    await assert.rejects(train({} as TrainConfig), { name: 'TrainingError', message: /^config: model: / });
  });

  test('says of every field what it is', () => {
    const fields = configFields();
    assert.ok(fields.length > 40);
    for (const { name, description } of fields) assert.ok(description.length > 3, `${name} is not described`);
  });

  const says = (change: object, message: RegExp) =>
    test(String(message), () =>
      assert.throws(() => parseConfig({ ...least, ...change }), { name: 'TrainingError', code: 'MGLMM_TRAINING', message }),
    );
  says({ step: 3 }, /^config: step is unknown, is steps meant\?$/);
  says({ lr: 3 }, /^config: lr is unknown, is optimizer\.lr meant\?$/);
  says({ optimizer: { weight_decay: 0 } }, /^config: optimizer\.weight_decay is unknown, is weightDecay meant\?$/);
  says(
    { data: [{ path: 'a', zzzzzzzz: 1 }] },
    /^config: data\.0\.zzzzzzzz is unknown; there are path, scenes, mgsc, cocoPanoptic, weight$/,
  );
  says({ lora: { within: '(' } }, /^config: lora\.within: "\(" is no regular expression$/);
  says({ optimizer: { lr: 1e-3, minLr: 1e-2 } }, /^config: optimizer\.minLr: is 0\.01, expected at most lr, 0\.001$/);
  says({ pretraining: { optimizer: { minLr: 1 } } }, /^config: pretraining\.optimizer\.minLr: is 1, expected at most lr, 0\.0003$/);
  says({ trainable: ['('] }, /^config: trainable\.0: "\(" is no regular expression$/);
  says({ steps: -1, batchSize: 'two' }, /^config: steps: .*>0; batchSize: .*expected (number|int)/);
  says({ trainable: 'everything' }, /^config: trainable: /);
  says({ model: {} }, /^config: model has path and sizes or neither, expected one of them$/);
  says({ data: [] }, /^config: data: /);
  says({ device: 'gpu' }, /^config: device: expected auto, cpu, cuda or cuda:1$/);
  says({ data: [{}] }, /^config: data\.0 has no data, expected one of path, scenes, mgsc, cocoPanoptic$/);
  says({ data: [{ path: 'a', scenes: { split: 'val' } }] }, /^config: data\.0 has path and scenes, expected one of path, /);
  says({ evaluation: { data: [{ path: 'a' }, {}] } }, /^config: evaluation\.data\.1 has no data, expected one of /);
  says({ data: [{ mgsc: { annotations: 'a' } }] }, /^config: data\.0\.mgsc\.images: /);
  says({ data: [{ scenes: { split: 'dev' } }] }, /^config: data\.0\.scenes\.split: /);
  says(
    { data: [{ scenes: { split: 'train', tasks: { refers: 1 } } }] },
    /^config: data\.0\.scenes\.tasks\.refers is unknown, is refer meant\?$/,
  );

  test('names the device, on another of which a run may go on', () => {
    const devices = [undefined, 'cpu', 'cuda', 'cuda:1'] as const;
    const configs = devices.map((device) => parseConfig({ ...least, device }));
    assert.deepEqual(
      configs.map(({ device }) => device),
      ['auto', 'cpu', 'cuda', 'cuda:1'],
    );
    for (const config of configs) assert.deepEqual(decisivePart(config), decisivePart(configs[0] as TrainConfig));
  });

  test('of pretraining says how often it is written, by which nothing is decided', () => {
    const [a, b] = [3, 4].map((every) => decisivePart(parseConfig({ ...least, pretraining: { snapshots: { every } } })));
    assert.deepEqual(a, b);
  });

  test('takes scenes in the place of a file', () => {
    const { data } = parseConfig({ ...least, data: [{ scenes: { split: 'train', tasks: { refer: 2 } } }] });
    assert.deepEqual(data, [{ scenes: { split: 'train', seed: 1, size: 256, tasks: { refer: 2 }, together: 1, segcap: true }, weight: 1 }]);
  });

  test('finds sets in formats of their own from its folder', () => {
    const mgsc = { annotations: 'annotations', images: '/pictures', split: 'split.txt' };
    const cocoPanoptic = { annotations: 'panoptic.json', segments: 'panoptic', images: 'images' };
    const { data } = parseConfig({ ...least, data: [{ mgsc }, { cocoPanoptic, weight: 2 }] }, '/sets');
    assert.deepEqual(data, [
      { mgsc: { annotations: '/sets/annotations', images: '/pictures', split: '/sets/split.txt' }, weight: 1 },
      { cocoPanoptic: { annotations: '/sets/panoptic.json', segments: '/sets/panoptic', images: '/sets/images' }, weight: 2 },
    ]);
  });

  test('that is no YAML, or not there, is named', async () => {
    using folder = temporaryFolder();
    const file = folder.file('run.yaml', 'a: [1\n');
    await assert.rejects(readConfig(file), { name: 'TrainingError', message: /run\.yaml is no YAML: / });
    await assert.rejects(readConfig(join(folder.path, 'none.yaml')), {
      name: 'TrainingError',
      message: /none\.yaml cannot be read: ENOENT/,
    });
  });
});
