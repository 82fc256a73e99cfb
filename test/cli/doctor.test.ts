import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { cpSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import { describe, test } from '@jest/globals';
import { backendName } from '../../lib';
import { backend, type Finding, threads } from '../../lib/cli/findings';
import { driverVersion, graphics, memory, processor } from '../../lib/cli/machine';
import { mglmm } from '../support/command';
import { type MglmmGolden, mglmmGoldens } from '../support/mglmm_golden';
import { tinyModel } from '../support/tiny_model';
import { temporaryFolder } from '../support/weights';

const [golden] = mglmmGoldens() as [MglmmGolden];

/** Runs `body` with environment variables set, or unset. */
function under<Result>(variables: Record<string, string | undefined>, body: () => Result): Result {
  const before = { ...process.env };
  for (const [name, value] of Object.entries(variables)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  try {
    return body();
  } finally {
    process.env = before;
  }
}

const diagnose = async (...args: string[]): Promise<{ code: number; err: string; ready: boolean; findings: Finding[] }> => {
  const { code, out, err } = await mglmm(['doctor', '--json', ...args]);
  return { code, err, ...(JSON.parse(out) as { ready: boolean; findings: Finding[] }) };
};

describe('mglmm doctor', () => {
  test('tells what a machine that runs these tests has', async () => {
    const { code, out, err } = await mglmm(['doctor']);
    assert.equal(`${code} ${err}`, '0 ');
    assert.match(out, new RegExp(`^ok +Node +${process.versions.node.replaceAll('.', '\\.')}$`, 'm'));
    assert.match(out, new RegExp(`^(ok|note) +backend +${backendName()}: `, 'm'));
    for (const what of ['system', 'processor', 'oneDNN', 'threads', 'memory', 'pictures', 'fonts', 'GPU'])
      assert.match(out, new RegExp(`^(ok|note) +${what} +\\S`, 'm'));
    assert.ok(!out.includes('\x1b'), 'colours where there is no terminal');
  });

  test('tells why the addon does not load', () => {
    const under = (variables: Record<string, string>, ...words: string[]) => {
      const args = ['--import', 'tsx', join(__dirname, '../../lib/cli/main.ts'), ...words];
      const { status, stdout, stderr } = spawnSync(process.execPath, args, { env: { ...process.env, ...variables }, encoding: 'utf8' });
      return { status, stdout, stderr };
    };
    const level = 'MGLMM_CPU_LEVEL is "x86-64-v9", expected one that was built: ';
    const threads = (count: string) => `MGLMM_THREADS is "${count}", expected a whole number from 1 to 4096`;
    for (const [variables, line, fix] of [
      [{ MGLMM_CPU_LEVEL: 'x86-64-v9' }, `BAD +addon +${level}\\S.*`, 'unset MGLMM_CPU_LEVEL'],
      [{ MGLMM_THREADS: 'abc' }, `BAD +threads +${threads('abc')}`, 'unset MGLMM_THREADS'],
    ] as const) {
      const { status, stdout, stderr } = under(variables, 'doctor', '--model', 'model');
      assert.deepEqual([status, stderr], [1, 'mglmm: 1 thing is in the way\n']);
      assert.match(stdout, new RegExp(`^${line}\n +fix: ${fix}$`, 'm'));
      assert.match(stdout, /^note +model +not looked at: the addon does not load$/m);
    }
    const segment = ['segment', 'picture.png', '--point', '1,1'];
    for (const count of ['0', '-1', '1.5', '4294967297'])
      assert.deepEqual(under({ MGLMM_THREADS: count }, ...segment), { status: 1, stdout: '', stderr: `mglmm: ${threads(count)}\n` });
    assert.ok(under({ MGLMM_CPU_LEVEL: 'x86-64-v9' }, ...segment).stderr.startsWith(`mglmm: ${level}`));
  });

  test('says of a model that nothing is in the way', async () => {
    using model = tinyModel(golden);
    const { code, ready, findings } = await diagnose('--model', model.path);
    assert.ok(ready && code === 0, JSON.stringify(findings));
    assert.match(findings.find(({ what }) => what === 'model')?.found ?? '', /: mglmm, \d+ tensors$/);
    assert.match(findings.find(({ what }) => what === 'room')?.found ?? '', /^enough: it needs about .* as bf16, .* as int4$/);
  });

  test('gives the line that fixes what a model lacks', async () => {
    using model = tinyModel(golden);
    using elsewhere = temporaryFolder();
    const tower = golden.config.vision_tower as string;
    for (const file of ['tokenizer.model', 'added_tokens.json']) cpSync(model.file(file), elsewhere.file(file), { dereference: true });
    for (const file of ['tokenizer.model', basename(tower)]) rmSync(model.file(file));
    const { code, err, ready, findings } = await diagnose('--model', model.path);
    assert.deepEqual({ code, err, ready }, { code: 1, err: 'mglmm: 2 things are in the way\n', ready: false });
    assert.deepEqual(
      findings.flatMap(({ state, fix }) => (state === 'bad' ? [fix] : [])),
      [`mglmm convert ${model.path} NEW_FOLDER --clip CLIP_FOLDER`, `cp FOLDER_WITH_TOKENIZER/tokenizer.model ${model.path}`],
    );
    const found = await diagnose('--model', model.path, '--clip', join(golden.folder, tower));
    assert.equal(found.findings.filter(({ state }) => state === 'bad').length, 1);
    const whole = ['--model', model.path, '--clip', join(golden.folder, tower), '--tokenizer', elsewhere.path];
    assert.ok((await diagnose(...whole)).ready);
    assert.match((await mglmm(['doctor', '--model', '/nowhere'])).out, /^BAD +model +there is nothing at \/nowhere.*\n(?! +fix)/m);
  });
});

describe('findings', () => {
  test('of threads: as many as cores, unless the environment says otherwise', () => {
    const { cores, quota } = processor();
    const found = (count: string | undefined) => under({ MGLMM_THREADS: count }, threads);
    if (quota === undefined) assert.deepEqual(found(undefined), { what: 'threads', found: `${cores}, one a core`, state: 'good' });
    assert.equal(found('1').found, '1: MGLMM_THREADS asks for them');
    assert.deepEqual([found(`${cores + 1}`).state, found(`${cores + 1}`).fix], ['note', `export MGLMM_THREADS=${cores}`]);
  });

  test('of the backend: why it is this one', () => {
    const best = processor().level as string;
    const used = backendName().split(' ').at(-1) as string;
    assert.ok(used <= best, `${used} runs here, and ${best} is said to be the best that does`); // v2, v3, v4, v4-bf16 sort so
    const found = (name: string, asked?: string) => under({ MGLMM_CPU_LEVEL: asked }, () => backend(name)[0] as Finding);
    assert.equal(found(`cpu ${best}`).found, `cpu ${best}: the best that this processor runs`);
    assert.equal(found('cpu other').found, `cpu other: this processor runs ${best}, which was not built`);
    assert.equal(found('cpu other').fix, 'npm run build');
    assert.equal(found(`cpu ${best}`, best).found, `cpu ${best}: MGLMM_CPU_LEVEL asks for it`);
    assert.equal(found('cpu other', 'other').fix, 'unset MGLMM_CPU_LEVEL');
  });

  test('of memory and graphics are such as a machine has', () => {
    const { totalBytes, availableBytes } = memory();
    assert.ok(availableBytes > 0 && availableBytes <= totalBytes);
    const { present, driver } = graphics();
    assert.ok(present || driver === undefined);
    for (const [line, version] of [
      ['NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024', '550.54.15'],
      ['NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build', '560.35.03'],
      ['', undefined],
    ] as const)
      assert.equal(driverVersion(`${line}\nGCC version:  gcc version 12.2.0`), version);
  });
});
