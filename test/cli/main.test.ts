import { strict as assert } from 'node:assert';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { commands } from '../../lib/cli/commands';
import { Progress } from '../../lib/cli/progress';
import { formatBytes, formatTable } from '../../lib/cli/terminal';
import { mglmm } from '../support/command';
import { goldenFolder } from '../support/golden';
import { picture } from '../support/picture';
import { encodePng } from '../support/png';
import { temporaryFolder } from '../support/weights';

describe('mglmm', () => {
  test('lists its commands, and explains each', async () => {
    const { code, out } = await mglmm(['--help']);
    assert.equal(code, 0);
    for (const name of Object.keys(commands)) {
      assert.ok(out.includes(`\n  ${name} `), out);
      for (const args of [
        [name, '--help'],
        ['help', name],
      ])
        assert.match((await mglmm(args)).out, new RegExp(`^Usage: mglmm ${name} \\[options\\]`));
    }
    assert.match((await mglmm(['--version'])).out, /^\d+\.\d+\.\d+\n$/);
  });

  test('says in one line what is wrong', async () => {
    assert.deepEqual(await mglmm(['inspect', '/nowhere']), {
      code: 1,
      out: '',
      err: 'mglmm: there is nothing at /nowhere, expected a file or folder of weights\n',
    });
    assert.deepEqual(await mglmm(['bogus']), { code: 2, out: '', err: "error: unknown command 'bogus'\n" });
    assert.deepEqual(await mglmm(['inspect']), { code: 2, out: '', err: "error: missing required argument 'path'\n" });
    assert.match((await mglmm(['convert', 'a', 'b', '--shard-size', 'x'])).err, /expected a number above 0/);
  });

  test('ends with 2 where what was typed makes no sense, before anything is loaded', async () => {
    using folder = temporaryFolder();
    const { data, width, height } = picture(44, 60);
    const image = folder.file('scene.png', encodePng({ width, height, pixels: data }));
    const [answer, segment] = [
      ['answer', image, 'What?', '--model', '/nowhere'],
      ['segment', image, '--model', '/nowhere', '--json'],
    ];
    const wrong: [args: string[], message: RegExp][] = [
      [[...answer, '--device', 'tpu'], /device is "tpu", expected "cpu", "cuda" or "cuda:" and a number/],
      [[...segment, '--point', '1,1', '--device', 'cuda:x'], /device is "cuda:x", expected/],
      [[...answer, '--stop', ''], /'' is invalid\. expected a string, or strings, none of them empty/],
      [['answer', '-', '-', 'What?'], /- is given twice/],
      [['chat', '-'], /chat reads questions from the standard input/],
      [['explore', folder.path, '--model', '/nowhere'], /is a folder of pictures, expected one picture/],
      [[...segment, '--point', '500,1'], /\[500, 1\], expected \[x, y\] within the 44 x 60 pixels/],
      [[...segment, '--box', '9,9,5,5'], /a box is \[9, 9, 5, 5\], expected/],
      [['scenes', '--out', folder.file('scenes'), '--count', '0'], /count is 0, expected/],
      [['scenes', '--out', folder.file('scenes'), '--size', '7'], /size is 7, expected/],
      [['train'], /no configuration is given/],
      [['data', 'check', 'a', '--pictures', 'b', '--no-decode'], /--pictures needs what --no-decode leaves out/],
    ];
    folder.file('other.png', encodePng({ width, height, pixels: data }));
    for (const [args, message] of wrong) {
      const { code, out, err } = await mglmm(args, { input: [] });
      assert.match(err, message);
      assert.deepEqual([code, out], [2, ''], args.join(' '));
    }
  });

  test('finds before the work that what comes of it cannot be written', async () => {
    using folder = temporaryFolder();
    const { data, width, height } = picture(44, 60);
    const image = folder.file('scene.png', encodePng({ width, height, pixels: data }));
    const samples = folder.file(
      'samples.jsonl',
      `${JSON.stringify({ id: 'a', task: 'vqa', conversation: [{ question: 'a', answer: 'b' }] })}\n`,
    );
    const below = join(image, 'out');
    for (const args of [
      ['answer', image, 'What?', '--model', '/nowhere', '--out'],
      ['explore', image, '--model', '/nowhere', '--out'],
      ['segment', image, '--point', '1,1', '--model', '/nowhere', '--out'],
      ['convert', '/nowhere'],
      ['merge', '/nowhere'],
      ['scenes', '--count', '1', '--size', '32', '--out'],
      ['data', 'check', samples, '--pictures'],
    ]) {
      const { code, err } = await mglmm([...args, below]);
      assert.match(err, new RegExp(`^mglmm: ${below} cannot be written: ${image} is no folder\n$`));
      assert.equal(code, 1);
    }
    const taken = await mglmm(['answer', image, 'What?', '--model', '/nowhere', '--out', image]);
    assert.equal(taken.err, `mglmm: ${image} cannot be written: ${image} is no folder\n`);
    assert.match((await mglmm(['convert', '/nowhere', folder.path])).err, /is not empty, expected a new or an empty folder\n$/);
  });

  test('shows where an error came from when it is asked to', async () => {
    process.env.MGLMM_DEBUG = '1';
    try {
      assert.match((await mglmm(['inspect', '/nowhere'])).err, /\n {4}at /);
    } finally {
      delete process.env.MGLMM_DEBUG;
    }
  });

  test('loads nothing but the list of commands to explain itself', () => {
    const script = `const { run } = require(${JSON.stringify(join(__dirname, '../../lib/cli/main.ts'))});
      run(['--help'], { out: { write() {} }, err: process.stderr }, new AbortController().signal).then(() => {
        const own = Object.keys(require.cache).filter((path) => !path.includes('node_modules')).map((path) => require('node:path').basename(path));
        console.log(own.sort().join(' '));
      });`;
    const loaded = execFileSync(process.execPath, ['--require', 'tsx/cjs', '--eval', script], { encoding: 'utf8' });
    assert.equal(loaded, 'commands.ts errors.ts main.ts usage.ts\n');
  });

  test('goes on when nobody reads its errors, and says that its results cannot be written', () => {
    using folder = temporaryFolder();
    const main = `${process.execPath} --import tsx ${join(__dirname, '../../lib/cli/main.ts')}`;
    const script = `{ ${main} convert ${join(goldenFolder, 'mglmm-tiny/checkpoint')} ${folder.file('copy')} 2>&1 >/dev/null; echo $? >&3; } | head -c 0
      { ${main} --help; echo $? >&3; } | head -c 0
      ${main} --help >/dev/full; echo $?`;
    const { stdout, stderr, output } = spawnSync('bash', ['-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe', 'pipe'] });
    assert.deepEqual(
      [output[3], stdout, stderr],
      ['0\n0\n', '1\n', 'mglmm: the standard output cannot be written: ENOSPC: no space left on device, write\n'],
    );
  });

  test('stops at Ctrl-C with nothing left behind', async () => {
    using folder = temporaryFolder();
    const source = join(goldenFolder, 'mglmm-tiny/checkpoint');
    const args = ['--import', 'tsx', join(__dirname, 'interrupted.ts'), 'convert', source, join(folder.path, 'copy')];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'pipe'] });
    let err = '';
    child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
    const code = await new Promise((resolve) => child.once('close', resolve));
    assert.equal(code, 130, err);
    assert.match(err, /mglmm: interrupted\n$/);
    assert.equal(readdirSync(folder.path).join(), '');
  });
});

describe('what commands print with', () => {
  test('sizes are three digits or so', () => {
    assert.deepEqual([0, 999, 1000, 1234567, 99_949_999, 99_950_000, 13_476_839_424, 2e15].map(formatBytes), [
      '0 bytes',
      '999 bytes',
      '1.0 kB',
      '1.2 MB',
      '99.9 MB',
      '100 MB',
      '13.5 GB',
      '2000 TB',
    ]);
  });

  test('tables align', () =>
    assert.equal(
      formatTable([
        ['a', 'bb', ''],
        ['ccc', 'd', 'e'],
      ]),
      'a    bb\nccc  d   e',
    ));

  test('progress is a bar on a terminal that goes away, and nothing for what is quick elsewhere', () => {
    let text = '';
    const write = (more: string) => (text += more);
    const bar = new Progress({ write, isTTY: true, columns: 80 }, 'writing');
    bar.update(50, 100, 'x'.repeat(60));
    bar.update(100, 100, 'last');
    bar.clear();
    assert.equal(text, `\r\x1b[Kwriting  ${'█'.repeat(30)}  100 %  100 bytes of 100 bytes  last\r\x1b[K`);
    text = '';
    const lines = new Progress({ write }, 'writing');
    lines.update(100, 100);
    lines.clear();
    assert.equal(text, '');
  });
});
