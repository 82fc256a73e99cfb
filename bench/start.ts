/**
 * npx tsx bench/start.ts [--rounds N] [--json FILE]: from the start of a process to the first token of the model that comes with the
 * package, about a picture, with the library as it is published (`npm run package:build`). Bar: under 0.5 s, the median of the rounds.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { summary } from './statistics';

const root = join(__dirname, '..');
const goalSeconds = 0.5;

const program = `
const { Mglmm, decodeImage, defaultModel } = require(process.argv[1]);
const sinceStart = () => (performance.timeOrigin + performance.now() - Number(process.argv[3])) / 1000;
const imported = sinceStart();
(async () => {
  const [model, image] = await Promise.all([Mglmm.load(defaultModel), decodeImage(process.argv[2])]);
  const loaded = sinceStart();
  for await (const event of model.stream({ image, prompt: 'Please segment the largest object.' })) {
    if (event.type !== 'token') continue;
    console.log(JSON.stringify({ imported, loaded, token: sinceStart() }));
    process.exit();
  }
})();
`;

interface Moments {
  readonly imported: number;
  readonly loaded: number;
  readonly token: number;
}

function run(): Moments {
  const picture = join(root, 'examples/pictures/scene.png');
  const begin = performance.timeOrigin + performance.now();
  const { status, stdout, stderr } = spawnSync(process.execPath, ['-e', program, join(root, 'dist/index.js'), picture, String(begin)], {
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`the process ended with ${status}: ${stderr}`);
  return JSON.parse(stdout) as Moments;
}

function main(): void {
  const { values } = parseArgs({ options: { rounds: { type: 'string', default: '9' }, json: { type: 'string' } } });
  if (!existsSync(join(root, 'dist/index.js'))) throw new Error('there is no dist/: run npm run package:build');
  run(); // what is read from disk once
  const rounds = Array.from({ length: Number(values.rounds) }, run);
  const of = (moment: keyof Moments) =>
    summary(
      rounds.map((round) => round[moment]),
      1,
    ).median;
  const result = { device: cpus()[0]?.model, rounds: rounds.length, imported: of('imported'), loaded: of('loaded'), token: of('token') };
  console.log(
    `library there after ${result.imported.toFixed(3)} s, model and picture after ${result.loaded.toFixed(3)} s, ` +
      `first token after ${result.token.toFixed(3)} s${result.token < goalSeconds ? '' : ` MISSED ${goalSeconds}`}`,
  );
  if (values.json) writeFileSync(values.json, `${JSON.stringify({ ...result, goalSeconds }, undefined, 2)}\n`);
}

main();
