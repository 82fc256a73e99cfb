/** `mglmm eval scenes` or `FILE...`: asks a model the questions of samples, scores what it answers, and shows it. */
import { createHash } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { basename, extname, join } from 'node:path';
import { type Command, Option } from 'commander';
import { JsonlDataset } from '../data/jsonl';
import type { Dataset } from '../data/sample';
import type { SplitName } from '../data/scenes/key';
import { SceneDataset, type SceneDatasetOptions } from '../data/scenes/scene_dataset';
import { taskNames } from '../data/scenes/tasks';
import { DataError } from '../errors';
import { countsOf, hundredths, writePage } from '../eval/page';
import { type EvaluationSettings, readRecords } from '../eval/record';
import { runEvaluation } from '../eval/run';
import { sceneCategories, sceneSimilarity } from '../eval/scene_phrases';
import { type EvaluationScores, scoresOf } from '../eval/scores';
import type { Mglmm } from '../inference/mglmm';
import { defaultOut, inFolder } from './answer_files';
import { type AnsweringOptions, answeringOptions, answersOf, type ModelOptions, modelOptions, openModel } from './model_options';
import { number } from './numbers';
import { Progress } from './progress';
import { type Context, formatTable } from './terminal';
import { refuseTyped, UsageError } from './usage';

interface EvalOptions extends ModelOptions, AnsweringOptions {
  readonly split?: SplitName;
  readonly scenesSeed?: readonly number[];
  readonly size?: number;
  readonly tasks?: string;
  readonly images?: string;
  readonly limit?: number;
  readonly batch?: number;
  readonly shown?: number;
  readonly out?: string;
  readonly overwrite?: boolean;
  readonly json?: boolean;
}

/** Names the scenes among files. */
const madeUp = 'scenes';

/** Of how questions are put, answers are read and scenes are made; another number says that scores are not to be compared. */
const protocol = 'generation-3';

export function define(command: Command, context: Context): void {
  const count = number({ whole: true, from: 1 });
  const seed = number({ whole: true, from: 0 });
  const seeds = (text: string) => text.split(',').map(seed);
  command
    .argument('<what...>', `${madeUp}, which are made up, or files of samples, one a line as JSON: docs/data.md`)
    .addOption(new Option('--split <name>', 'of the scenes; default test').choices(['val', 'test', 'unseen'] satisfies SplitName[]))
    .option('--scenes-seed <numbers>', 'what the scenes follow from, with commas between, all scored as one; default 0', seeds)
    .option('--size <pixels>', 'of a side of a scene; default 256', count)
    .option('--tasks <names>', `of the scenes, with commas between; default ${taskNames.join(',')}`)
    .option('--images <dir>', 'where paths of pictures start; default the folder of each file')
    .option('--limit <count>', 'ask no more samples, of each file, from the first', count)
    .option('--batch <count>', 'samples that are answered together; default 4', count)
    .option('--shown <count>', 'answers of each task that the page shows, from the worst and from the best; default 12', count)
    .option('--out <dir>', `folder of what is written, from which a run that was stopped goes on; default one in ${defaultOut}`)
    .option('--overwrite', 'begin again, whatever evaluation the folder has')
    .option('--json', 'print the scores as JSON');
  answeringOptions(modelOptions(command)).action(async (what: string[], options: EvalOptions) => {
    expectFitting(what, options);
    await using parts = await Parts.open(what, options, context);
    const [first] = what as [string];
    const name = first === madeUp ? `${madeUp}-${options.split ?? 'test'}` : basename(first, extname(first));
    const out = options.out ?? join(defaultOut, `eval-${name}`);
    await inFolder(out, () => evaluate(parts, out, options, context));
  });
}

/** @throws UsageError for options that mean nothing to what is asked. */
function expectFitting(what: readonly string[], { split, scenesSeed, size, tasks, images }: EvalOptions): void {
  const given = (names: Readonly<Record<string, unknown>>) => Object.keys(names).find((name) => names[name] !== undefined);
  const needless = what.includes(madeUp)
    ? what.every((one) => one === madeUp) && given({ '--images': images })
    : given({ '--split': split, '--scenes-seed': scenesSeed, '--size': size, '--tasks': tasks });
  if (needless) throw new UsageError(`eval: ${needless} is given, which means nothing to ${what.join(', ')}`);
}

/** The data sets that are named, and what tells each from others of the same name. */
class Parts implements AsyncDisposable {
  readonly datasets: Dataset[] = [];
  readonly prints: unknown[] = [];

  static async open(what: readonly string[], options: EvalOptions, { signal }: Context): Promise<Parts> {
    const parts = new Parts();
    try {
      for (const one of what) {
        if (one === madeUp) parts.#addScenes(options);
        else {
          parts.datasets.push(await JsonlDataset.open(one, { images: options.images, signal }));
          parts.prints.push(options.images === undefined ? await fingerprint(one) : [await fingerprint(one), options.images]);
        }
      }
      return parts;
    } catch (error) {
      await parts[Symbol.asyncDispose]();
      throw error;
    }
  }

  #addScenes({ split = 'test', scenesSeed = [0], size, tasks: names }: EvalOptions): void {
    const tasks = names === undefined ? undefined : Object.fromEntries(names.split(',').map((name) => [name.trim(), 1]));
    for (const seed of scenesSeed) {
      this.datasets.push(scenesOf({ split, seed, size, tasks }));
      this.prints.push({ split, seed, size, tasks });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const one of this.datasets) if (one instanceof JsonlDataset) await one.close();
  }
}

function scenesOf(options: SceneDatasetOptions): SceneDataset {
  try {
    return new SceneDataset(options);
  } catch (error) {
    return refuseTyped(error);
  }
}

async function evaluate(parts: Parts, out: string, options: EvalOptions, context: Context): Promise<void> {
  const { terminal, signal } = context;
  const { limit, batch, overwrite, shown, json, model: path, clip, sam, tokenizer, template, dtype, adapter } = options;
  const samples = parts.datasets.reduce((sum, { length }) => sum + Math.min(limit ?? length, length), 0);
  if (samples === 0) throw new DataError('there are no samples');
  const settings: EvaluationSettings = {
    protocol,
    model: await fingerprint(path),
    others: await Promise.all([clip, sam, tokenizer, adapter].map((one) => (one === undefined ? null : fingerprint(one)))),
    parts: parts.prints,
    template,
    dtype,
  };
  const records = join(out, 'samples.jsonl');
  const inThousands = (amount: number) => amount.toLocaleString('en');
  const progress = new Progress(terminal.err, 'asking', inThousands);
  let model: Mglmm | undefined;
  const open = async () => {
    model = await openModel(options, context);
    return model;
  };
  try {
    await runEvaluation(open, parts.datasets, records, {
      ...answersOf(options),
      settings,
      overwrite,
      limit,
      batch,
      signal,
      onProgress: ({ done, total }) => progress.update(done, total),
    });
  } finally {
    progress.clear();
    await model?.dispose();
  }
  const isOfScenes = parts.datasets.every((one) => one instanceof SceneDataset);
  const scores = await scoresOf(within(records, limit), isOfScenes ? { similarity: sceneSimilarity, categories: sceneCategories } : {});
  const names = parts.datasets.map(({ name }) => name);
  const metrics = { model: path, data: names, settings, ...scores };
  await writeFile(join(out, 'metrics.json'), `${JSON.stringify(metrics, undefined, 2)}\n`);
  const drawing = new Progress(terminal.err, 'drawing', inThousands);
  const page = await writePage(out, within(records, limit), parts.datasets, scores, {
    title: `Evaluation of ${basename(path)}`,
    about: names.map((name) => basename(name)).join(', '),
    shown,
    signal,
    onProgress: ({ done, total }) => drawing.update(done, total),
  }).finally(() => drawing.clear());
  terminal.out.write(json ? `${JSON.stringify(metrics)}\n` : `${tableOf(scores)}\n`);
  terminal.err.write(`${countsOf(scores)}; written to ${page}\n`);
  if (scores.samples === 0) throw new DataError(`no sample could be asked; ${records} says why, mglmm data check as well`);
}

/** An earlier run may have asked more. */
async function* within(records: string, limit = Number.POSITIVE_INFINITY) {
  for await (const record of readRecords(records)) if (record.index < limit) yield record;
}

/** A row a task: how many answers, and their scores times 100, as papers have them. */
function tableOf({ tasks }: EvaluationScores): string {
  const figures = (metrics: EvaluationScores['tasks'][number]['metrics']) =>
    Object.entries(metrics).map(([name, value]) => `${name} ${hundredths(value)}`);
  return formatTable(tasks.map(({ task, turns, metrics }) => [task, String(turns), figures(metrics).join('   ')]));
}

/**
 * Of a model that was prepared, its record, which has the hashes of its files; of a file, or of all files of another folder: names,
 * sizes, times of change. Hashing a model takes longer than asking it a few questions.
 */
async function fingerprint(path: string): Promise<string> {
  const prepared = await readFile(join(path, 'mglmm.json')).catch(() => undefined);
  if (prepared) return createHash('sha256').update(prepared).digest('hex').slice(0, 16);
  const root = await stat(path).catch(() => undefined);
  const names = root?.isDirectory() ? (await readdir(path)).sort() : [];
  const hash = createHash('sha256').update(`${root?.size} ${root?.isDirectory() ? '' : root?.mtimeMs}`);
  for (const name of names) {
    const file = await stat(join(path, name)).catch(() => undefined); // a link that leads nowhere
    hash.update(`\n${name} ${file?.size} ${file?.mtimeMs}`);
  }
  return hash.digest('hex').slice(0, 16);
}
