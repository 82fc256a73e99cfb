import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { writeNewFolder } from '../../lib/weights/new_folder';
import { temporaryFolder } from '../support/weights';

describe('writeNewFolder', () => {
  test('shows the folder when it is complete, below folders that it makes', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'a/b');
    const result = await writeNewFolder(path, 1, async (partial) => {
      assert.equal(readdirSync(join(folder.path, 'a')).includes('b'), false);
      writeFileSync(join(partial, 'x'), 'y');
      return 7;
    });
    assert.equal(result, 7);
    assert.equal(readFileSync(join(path, 'x'), 'utf8'), 'y');
    assert.equal(readdirSync(join(folder.path, 'a')).join(), 'b');
  });

  test('leaves nothing when writing fails, and asks for room before', async () => {
    using folder = temporaryFolder();
    const path = join(folder.path, 'b');
    const failing = writeNewFolder(path, 1, async (partial) => {
      writeFileSync(join(partial, 'x'), 'y');
      throw new Error('no more');
    });
    await assert.rejects(failing, { message: 'no more' });
    await assert.rejects(
      writeNewFolder(path, 1e18, () => Promise.resolve()),
      { code: 'MGLMM_ARGUMENT', message: /has \S+ GB free, expected 1000000000\.0 GB$/ },
    );
    assert.equal(readdirSync(folder.path).join(), '');
  });
});
