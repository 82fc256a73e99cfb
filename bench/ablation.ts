/**
 * The paper's Table 7 in small: the same recipe with and without the unified SegCap format, same steps, two seeds, from the same
 * pretrained vision. Prints and writes cIoU of referring and mIoU of grounded descriptions, by generation.
 *
 *   npx tsx bench/ablation.ts --model runs/mglmm-tiny/pretraining/model [--steps 600] [--limit 200] [--json FILE]
 *
 * A run that was stopped goes on where it was.
 */
import { spawnSync } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { parse, stringify } from 'yaml';
import { formatTable } from '../lib/cli/terminal';

const root = resolve(__dirname, '..');
const recipe = join(root, 'examples/scenes/train.yaml');
const seeds = [1, 2];

interface Row {
  readonly segcap: boolean;
  readonly seed: number;
  readonly referCiou: number;
  readonly groundedMiou: number;
}

function mglmm(...args: string[]): string {
  const { status, stdout } = spawnSync(process.execPath, ['--import', 'tsx', join(root, 'lib/cli/main.ts'), ...args], {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    maxBuffer: 1 << 28,
  });
  if (status !== 0) throw new Error(`mglmm ${args[0]} ended with ${status}`);
  return stdout;
}

/** The recipe's joint part as it stands, but for what is compared. */
async function configOf(model: string, steps: number, segcap: boolean, seed: number, output: string): Promise<string> {
  const {
    pretraining: _,
    evaluation: __,
    data,
    ...config
  } = parse(await readFile(recipe, 'utf8')) as Record<string, unknown> & {
    readonly data: readonly { readonly scenes: object }[];
    readonly optimizer: object;
  };
  const file = join(output, 'train.yaml');
  await mkdir(output, { recursive: true });
  await writeFile(
    file,
    stringify({
      ...config,
      model: { path: resolve(model), dtype: 'bf16' },
      data: data.map((one) => ({ ...one, scenes: { ...one.scenes, segcap } })),
      output: '.',
      seed,
      steps,
      optimizer: { ...config.optimizer, cooldownSteps: Math.round(steps / 4) },
    }),
  );
  return file;
}

async function measure(model: string, steps: number, limit: number, segcap: boolean, seed: number): Promise<Row> {
  const output = join(root, 'runs/ablation', `${segcap ? 'segcap' : 'bare'}-${seed}`);
  mglmm('train', await configOf(model, steps, segcap, seed, output), '--resume');
  const evaluated = join(output, 'eval');
  const options = ['--split', 'test', '--tasks', 'refer,gcg', '--limit', String(limit), '--json'];
  const { tasks } = JSON.parse(mglmm('eval', 'scenes', '--model', join(output, 'model'), '--out', evaluated, ...options)) as {
    readonly tasks: readonly { readonly task: string; readonly turns: number; readonly metrics: Readonly<Record<string, number>> }[];
  };
  const metric = (task: string, name: string) => tasks.find((one) => one.task === task)?.metrics[name] ?? Number.NaN;
  return { segcap, seed, referCiou: metric('refer', 'cIoU'), groundedMiou: metric('gcg', 'mIoU') };
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      model: { type: 'string' },
      steps: { type: 'string', default: '600' },
      limit: { type: 'string', default: '200' },
      json: { type: 'string' },
    },
  });
  if (values.model === undefined) throw new Error('ablation: no --model; expected the folder of a pretrained model');
  const [steps, limit] = [Number(values.steps), Number(values.limit)];
  const rows: Row[] = [];
  for (const seed of seeds) for (const segcap of [false, true]) rows.push(await measure(values.model, steps, limit, segcap, seed));
  const mean = (segcap: boolean, of: (row: Row) => number) => {
    const some = rows.filter((row) => row.segcap === segcap).map(of);
    return some.reduce((sum, value) => sum + value, 0) / some.length;
  };
  const means = [false, true].map((segcap) => ({
    segcap,
    referCiou: mean(segcap, (row) => row.referCiou),
    groundedMiou: mean(segcap, (row) => row.groundedMiou),
  }));
  const said = (value: number) => value.toFixed(3);
  console.log(
    formatTable([
      ['unified SegCap', 'seed', 'refer cIoU', 'grounded mIoU'],
      ...rows.map(({ segcap, seed, referCiou, groundedMiou }) => [
        segcap ? 'yes' : 'no',
        String(seed),
        said(referCiou),
        said(groundedMiou),
      ]),
      ...means.map(({ segcap, referCiou, groundedMiou }) => [segcap ? 'yes' : 'no', 'mean', said(referCiou), said(groundedMiou)]),
    ]),
  );
  const result = { device: cpus()[0]?.model, recipe: 'examples/scenes/train.yaml', steps, limit, rows, means };
  if (values.json) await writeFile(values.json, `${JSON.stringify(result, undefined, 2)}\n`);
}

main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
