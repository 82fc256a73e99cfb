/** Every form under MGLMM_GOLDEN/mglmm-tiny/checkpoints holds the weights of the official one, as forms.json says. */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { type Dtype, layoutOf, openCheckpoint, Scope, samPrefix, type Tensor, under } from '../../lib';
import { goldenFolder } from '../support/golden';

const folder = join(goldenFolder, 'mglmm-tiny');

interface Form {
  readonly dtype: string;
  readonly equals: string;
  readonly layout: string;
  readonly vocab_rows_of_checkpoint?: readonly number[];
}

const roundings: Readonly<Record<string, Dtype>> = {
  exact: 'f32',
  'rounded to bf16 (nearest even)': 'bf16',
  'rounded to fp16 (nearest even)': 'f16',
};

const official = async () => {
  const checkpoint = await openCheckpoint(join(folder, 'checkpoint'));
  const layout = layoutOf(checkpoint.names);
  return new Map(
    checkpoint.names.filter((name) => layout.keyOf(name) !== null).map((name) => [layout.keyOf(name) as string, { checkpoint, name }]),
  );
};

/** The rows of a matrix that another vocabulary kept. */
async function rowsOf(tensor: Tensor, rows: readonly number[] | undefined): Promise<number[]> {
  const values = Array.from(await tensor.readBits());
  const width = values.length / (tensor.shape[0] as number);
  return rows ? rows.flatMap((row) => values.slice(row * width, (row + 1) * width)) : values;
}

describe('every form of the same weights', () => {
  const forms = JSON.parse(readFileSync(join(folder, 'checkpoints/forms.json'), 'utf8')) as Record<string, Form>;
  test('there are forms', () => assert.ok(Object.keys(forms).length > 0));

  for (const [path, form] of Object.entries(forms)) {
    test(path, async () => {
      using _scope = Scope.open();
      const dtype = roundings[form.equals] as Dtype;
      assert.ok(dtype, `no rounding for ${form.equals}`);
      const reference = await official();
      const checkpoint = await openCheckpoint(join(folder, path));
      const own = layoutOf(checkpoint.names);
      const layout = own.family === 'sam' ? under(samPrefix, own) : own;
      const seen = new Set<string>();
      for (const name of checkpoint.names) {
        const key = layout.keyOf(name);
        if (key === null) continue;
        // A projector of one layer is the first layer of the official one.
        const wanted = reference.get(key) ?? reference.get(key.replace('mm_projector.', 'mm_projector.0.'));
        assert.ok(wanted, `${key} is not in the official form`);
        seen.add(wanted.name);
        const rows = /embed_tokens|lm_head/.test(key) ? form.vocab_rows_of_checkpoint : undefined;
        const expected = await wanted.checkpoint.load(wanted.name, dtype);
        assert.deepEqual(Array.from(await (await checkpoint.load(name)).readBits()), await rowsOf(expected, rows), name);
      }
      const whole = [...reference.keys()].filter((key) => own.family !== 'sam' || key.startsWith(samPrefix));
      if (form.layout.includes('three tensors only')) assert.equal(seen.size, 3);
      else if (own.family === 'lisa')
        assert.deepEqual(
          whole.filter((key) => !seen.has(key)).map((key) => key.replace(/weight|bias/, '')),
          ['model.mm_projector.2.', 'model.mm_projector.2.'],
        );
      else
        assert.deepEqual(
          whole.filter((key) => !seen.has(key)),
          [],
        );
    });
  }

  test('the tower beside them is a CLIP', async () => {
    const config = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as { vision_tower: string };
    assert.ok(existsSync(join(folder, config.vision_tower)));
    const { names } = await openCheckpoint(join(folder, config.vision_tower));
    assert.equal(layoutOf(names).family, 'clip');
  });
});
