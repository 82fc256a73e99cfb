import { strict as assert } from 'node:assert';
import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import sharp from 'sharp';
import { mglmm } from '../support/command';
import { badLines, sampleLine, sampleSize, writeSamples } from '../support/samples';
import { temporaryFolder } from '../support/weights';

describe('mglmm data check', () => {
  test('counts what is good', async () => {
    using folder = temporaryFolder();
    const path = await writeSamples(folder, 6);
    const { code, out } = await mglmm(['data', 'check', path]);
    assert.equal(out, `${path}: 6 of 6 samples are good\n  caption  6 samples  7 masks\n`);
    assert.equal(code, 0);
  });

  test('says what is wrong with each line, and ends with 1', async () => {
    using folder = temporaryFolder();
    const path = await writeSamples(folder, 3);
    const bad = await badLines(folder);
    const lines = [...bad.map(([, line]) => line), sampleLine('set-1', 'pictures/0.png', [])];
    appendFileSync(path, `${lines.join('\n')}\n`);
    const { code, out, err } = await mglmm(['data', 'check', path]);
    assert.equal(code, 1);
    const told = out.split('\n');
    for (let line = 4; line < 4 + lines.length; line++)
      assert.ok(
        told.some((one) => one.startsWith(`${path}:${line}: `)),
        `${line}: ${out}`,
      );
    assert.ok(told.some((one) => one.startsWith(`${path}:8: masks[0]: rle: counts `)));
    assert.ok(told.includes(`${path}:${3 + lines.length}: id: is "set-1", as in line 2`));
    assert.ok(told.includes(`${path}: 3 of ${3 + lines.length} samples are good`));
    for (const [problem] of bad) assert.match(out, new RegExp(`^ {2}wrong: ${problem} +${problem === 'record' ? 2 : 1} samples$`, 'm'));
    assert.ok(err.endsWith(`mglmm: ${lines.length} of ${3 + lines.length} samples are wrong\n`));
  });

  test('looks at as much as it is told to', async () => {
    using folder = temporaryFolder();
    const path = await writeSamples(folder, 3);
    appendFileSync(path, `${sampleLine('missing', 'pictures/none.png', [])}\n`);
    assert.equal((await mglmm(['data', 'check', path])).code, 1);
    assert.match((await mglmm(['data', 'check', path, '--limit', '3'])).out, /: 3 of 3 samples are good\n/);
    assert.match((await mglmm(['data', 'check', path, '--no-decode'])).out, /: 4 of 4 samples are good\n/);
    assert.equal((await mglmm(['data', 'check', path, '--images', folder.file('elsewhere'), '--limit', '1'])).code, 1);
  });

  test('draws samples, and shows them with what is said', async () => {
    using folder = temporaryFolder();
    const [one, two] = [await writeSamples(folder, 4, 'one'), await writeSamples(folder, 1, 'two')];
    appendFileSync(one, `{}\n${sampleLine('<b>&', 'pictures/0.png')}\n`);
    const pictures = folder.file('drawn');
    const { code } = await mglmm(['data', 'check', one, two, '--pictures', pictures]);
    assert.equal(code, 1);
    const names = [1, 2, 3, 4, 6].map((line) => `1-one-${line}.png`);
    expect(readdirSync(pictures).sort()).toEqual([...names, '2-two-1.png', 'index.html']);
    for (const name of names) {
      const { width, height } = await sharp(`${pictures}/${name}`).metadata();
      assert.deepEqual([height, width], [...sampleSize]);
    }
    const [plain, drawn] = await Promise.all(
      ['pictures/1.png', 'drawn/1-one-2.png'].map((name) => sharp(folder.file(name)).raw().toBuffer()),
    );
    assert.ok(!plain?.equals(drawn as Buffer));
    const page = readFileSync(`${pictures}/index.html`, 'utf8');
    assert.match(page, /<h3>&lt;b>&amp;: caption<\/h3><dl><dt>What is there\?<dd>There &lt;p> thing 0 &lt;\/p> \[SEG\]\.<\/dl>/);
    assert.equal((await mglmm(['data', 'check', two, '--pictures', folder.file('two'), '--limit', '1'])).code, 0);
  });

  test('keeps what stands in a file from the terminal', async () => {
    using folder = temporaryFolder();
    const { out } = await mglmm(['data', 'check', folder.file('bad.jsonl', '{"\\u001b[2Jx": 1, "id": "a"}\n\u001b[2J\n')]);
    assert.ok(!out.includes('\u001b') && out.includes('\ufffd[2Jx: is no field that is known here'));
  });

  test('refuses what it cannot do', async () => {
    using folder = temporaryFolder();
    const missing = await mglmm(['data', 'check', folder.file('none.jsonl')]);
    assert.equal(missing.code, 1);
    assert.match(missing.err, /none\.jsonl: does not exist\n$/);
    assert.match((await mglmm(['data', 'check', folder.file('empty.jsonl', '')])).err, /mglmm: there are no samples\n$/);
    assert.equal((await mglmm(['data', 'check'])).code, 2);
    assert.equal((await mglmm(['data', 'check', 'a', '--limit', '0'])).code, 2);
    assert.match(
      (await mglmm(['data', 'check', 'a', '--pictures', 'b', '--no-decode'])).err,
      /--pictures needs what --no-decode leaves out/,
    );
    const path = await writeSamples(folder, 3);
    assert.equal((await mglmm(['data', 'check', path], { signal: AbortSignal.abort() })).code, 130);
  });
});
