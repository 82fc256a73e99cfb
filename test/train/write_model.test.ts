import { strict as assert } from 'node:assert';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { openModel, openModelFolder } from '../../lib';
import { writeTrainedModel } from '../../lib/train/write_model';
import { onEveryDevice } from '../support/devices';
import { mglmmGoldens } from '../support/mglmm_golden';
import { tinyModel } from '../support/tiny_model';
import { tinySizes, writeTinyTokenizer } from '../support/tiny_training';
import { temporaryFolder } from '../support/weights';

onEveryDevice('writeTrainedModel', () => {
  const styleOf = async (path: string) => {
    using opened = await openModel({ path, dtype: 'f32', seed: 1 });
    return opened.speech.style;
  };

  test('keeps how a model was spoken to', async () => {
    const [golden] = mglmmGoldens();
    assert.ok(golden);
    using folder = temporaryFolder();
    for (const form of ['checkpoint', 'checkpoints/lisa', 'checkpoints/glamm']) {
      using base = tinyModel(golden, form);
      const written = join(folder.path, form);
      using opened = await openModel({ path: base.path, dtype: 'f32', template: 'llava_llama_2', seed: 1 });
      await writeTrainedModel(written, opened);
      assert.deepEqual(await styleOf(written), opened.speech.style);
      const [before, after] = [await openModelFolder(base.path), await openModelFolder(written)];
      assert.deepEqual([after.family, after.config], [before.family, before.config]);
    }
  });

  test('keeps how a new model was spoken to, which may have no masks', async () => {
    using folder = temporaryFolder();
    writeTinyTokenizer(folder.path);
    const { segment_encoder_config: _, ...blind } = tinySizes;
    for (const [name, sizes] of Object.entries({ blind, seeing: tinySizes })) {
      using opened = await openModel({ sizes, tokenizer: folder.path, dtype: 'f32', seed: 1 });
      await writeTrainedModel(join(folder.path, name), opened);
      assert.deepEqual(await styleOf(join(folder.path, name)), opened.speech.style);
    }
  });
});
