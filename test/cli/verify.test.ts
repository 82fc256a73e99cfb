import { strict as assert } from 'node:assert';
import { appendFileSync, cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { mglmm } from '../support/command';
import { goldenFolder } from '../support/golden';
import { temporaryFolder } from '../support/weights';

const tiny = join(goldenFolder, 'mglmm-tiny');
const { vision_tower } = JSON.parse(readFileSync(join(tiny, 'config.json'), 'utf8')) as { vision_tower: string };

describe('mglmm verify', () => {
  test('finds what changed since a folder was written', async () => {
    using folder = temporaryFolder();
    const copy = join(folder.path, 'copy');
    assert.equal((await mglmm(['convert', join(tiny, 'checkpoint'), copy])).code, 0);
    const whole = await mglmm(['verify', copy]);
    assert.equal(whole.code, 0);
    assert.match(
      whole.out,
      /^files {3}\d are as they were written\nshapes {2}\d+ tensors are those of the family mglmm\nvalues {2}all are finite\n$/,
    );

    const file = join(copy, 'model.safetensors');
    const bytes = readFileSync(file);
    bytes[bytes.length - 3] = (bytes.at(-3) as number) ^ 1;
    writeFileSync(file, bytes);
    const changed = await mglmm(['verify', copy]);
    assert.equal(changed.code, 1);
    assert.match(
      changed.out,
      /^files {3}1 wrong\n {2}model\.safetensors has the sha256 [0-9a-f]{64}, expected [0-9a-f]{64}: it was changed or damaged\nshapes/,
    );
    assert.match(changed.err, /copy: 1 thing is wrong\n$/);

    bytes.fill(0xff, bytes.length - 4);
    writeFileSync(file, bytes);
    appendFileSync(join(copy, 'config.json'), ' ');
    rmSync(join(copy, 'added_tokens.json'));
    const { out, err } = await mglmm(['verify', copy]);
    assert.match(out, /^files {3}3 wrong\n/);
    assert.match(out, / {2}added_tokens\.json is missing\n/);
    assert.match(out, / {2}config\.json has \d+ bytes, expected \d+\n/);
    assert.match(out, /\nvalues {2}1 wrong\n {2}\S+ has 1 of \d+ values that are NaN or infinite\n$/);
    assert.match(err, /: 4 things are wrong\n$/);
  });

  test('compares a file with the manifest beside it that names it', async () => {
    using folder = temporaryFolder();
    const copy = join(folder.path, 'copy');
    assert.equal((await mglmm(['convert', join(tiny, 'checkpoint'), copy])).code, 0);
    const file = join(copy, 'model.safetensors');
    assert.match((await mglmm(['verify', file])).out, /^files {3}1 are as they were written\nshapes {2}\d+ tensors are those/);
    const bytes = readFileSync(file);
    bytes[bytes.length - 3] = (bytes.at(-3) as number) ^ 1;
    writeFileSync(file, bytes);
    assert.match((await mglmm(['verify', file])).out, /^files {3}1 wrong\n {2}model\.safetensors has the sha256 /);
    cpSync(file, join(copy, 'other.safetensors'));
    assert.match((await mglmm(['verify', join(copy, 'other.safetensors')])).out, /^files {3}there is no mglmm\.json to compare with\n/);
  });

  test('checks a folder without a manifest for what it can', async () => {
    const path = join(tiny, 'checkpoints/bin-single');
    const { code, out } = await mglmm(['verify', path]);
    assert.equal(code, 1);
    assert.match(
      out,
      /^files {3}there is no mglmm\.json to compare with\nshapes {2}1 wrong\n {2}clip: nothing of it is here\nvalues {2}all are finite\n$/,
    );
    assert.equal((await mglmm(['verify', path, '--clip', join(tiny, vision_tower)])).code, 0);
    const twice = await mglmm(['verify', path, '--sam', join(tiny, 'checkpoints/sam.pth')]);
    assert.match(twice.err, /model\.segment_encoder\.\S+ is in .* and again in .*sam\.pth/);
  });

  test('refuses a manifest that makes no sense', async () => {
    using folder = temporaryFolder();
    const copy = join(folder.path, 'copy');
    await mglmm(['convert', join(tiny, 'checkpoint'), copy]);
    const file = join(copy, 'mglmm.json');
    const manifest = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown> & { config: { llama: Record<string, unknown> } };
    writeFileSync(file, JSON.stringify({ ...manifest, family: 'parrot' }));
    assert.match((await mglmm(['verify', copy])).err, /mglmm\.json: family: /);
    writeFileSync(file, JSON.stringify({ ...manifest, config: { ...manifest.config, llama: { ...manifest.config.llama, heads: '4' } } }));
    assert.match((await mglmm(['verify', copy])).err, /mglmm\.json: config\.llama\.heads is "4", expected such as 1\n$/);
  });
});
