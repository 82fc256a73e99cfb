import { strict as assert } from 'node:assert';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { test } from '@jest/globals';
import { mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { encodePng } from '../support/png';
import { tinyModel } from '../support/tiny_model';
import { temporaryFolder } from '../support/weights';

const run = promisify(execFile);
const example = (...args: string[]) => run(process.execPath, ['--import', 'tsx', join(__dirname, '../../examples/answer.ts'), ...args]);

for (const golden of mglmmGoldens()) {
  test(`examples/answer.ts answers with the weights of ${golden.name}`, async () => {
    using model = tinyModel(golden);
    using folder = temporaryFolder();
    const { data, width, height } = picture(44, 60);
    const image = folder.file('scene.png', encodePng({ width, height, pixels: data }));
    const out = join(folder.path, 'out');
    const { stdout } = await example(model.path, image, 'Where is it?', out);
    const masks = Number(/^\d+ tokens and (\d+) masks in \d+ ms$/m.exec(stdout)?.[1]);
    assert.equal(
      readdirSync(out).sort().join(),
      [...Array.from({ length: masks }, (_, i) => `mask_${i}.png`).sort(), 'overlay.png'].join(),
    );
  });
}

test('examples/answer.ts says what it wants', async () => {
  const { code, stderr } = (await example().catch((error: unknown) => error)) as { code: number; stderr: string };
  assert.deepEqual([code, stderr], [1, 'expected a model, a picture and a prompt\n']);
});
