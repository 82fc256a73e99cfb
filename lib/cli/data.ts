/** `mglmm data check FILE...`: looks at every sample of files of samples, says what is wrong with which, and draws them. */
import { basename, extname } from 'node:path';
import type { Command } from 'commander';
import { checkSamples } from '../data/check';
import { JsonlDataset } from '../data/jsonl';
import { DataError, type SampleProblem } from '../errors';
import { number } from './numbers';
import { Progress } from './progress';
import { SamplePictures } from './sample_pictures';
import { type Context, formatTable } from './terminal';
import { UsageError } from './usage';

interface CheckOptions {
  readonly pictures?: string;
  readonly limit?: number;
  readonly images?: string;
  /** False: `--no-decode`. */
  readonly decode: boolean;
}

/** Samples of a file that are drawn, unless a limit says otherwise. */
const drawn = 50;

export function define(command: Command, context: Context): void {
  command
    .command('check')
    .description('look at every sample of files of samples')
    .argument('<file...>', 'JSONL, one sample a line: docs/data.md')
    .option('--limit <count>', 'look at no more samples of a file, from its first', number({ whole: true, from: 1 }))
    .option('--pictures <dir>', `draw good samples with their masks into this folder: of each file the first ${drawn}, or as --limit says`)
    .option('--images <dir>', 'where paths of pictures start; default the folder of each file')
    .option('--no-decode', 'leave pictures and the pixels of masks unread')
    .action(async (files: readonly string[], options: CheckOptions) => {
      if (options.pictures !== undefined && !options.decode) throw new UsageError('--pictures needs what --no-decode leaves out');
      await using pictures = options.pictures === undefined ? undefined : await SamplePictures.in(options.pictures);
      let [samples, wrong] = [0, 0];
      for (const [i, file] of files.entries()) {
        const names = files.length > 1 ? `${i + 1}-${basename(file, extname(file))}-` : '';
        const counts = await check(file, options, pictures, names, context);
        samples += counts.samples;
        wrong += counts.wrong;
      }
      if (wrong > 0) throw new DataError(`${wrong} of ${samples} samples ${wrong === 1 ? 'is' : 'are'} wrong`);
      if (samples === 0) throw new DataError('there are no samples');
    });
}

async function check(
  file: string,
  options: CheckOptions,
  pictures: SamplePictures | undefined,
  names: string,
  { terminal, signal }: Context,
) {
  const reading = new Progress(terminal.err, `reading ${basename(file)}`);
  await using dataset = await JsonlDataset.open(file, {
    images: options.images,
    signal,
    onProgress: ({ bytes, totalBytes }) => reading.update(bytes, totalBytes),
  }).finally(() => reading.clear());

  const count = Math.min(options.limit ?? dataset.length, dataset.length);
  const progress = new Progress(terminal.err, `checking ${basename(file)}`, (amount) => amount.toLocaleString('en'));
  const tasks = new Map<string, { samples: number; masks: number }>();
  const problems = new Map<SampleProblem, number>();
  let wrong = 0;
  try {
    for await (const { index, sample, image, faults } of checkSamples(dataset, { limit: count, decode: options.decode, signal })) {
      if (faults.length > 0) {
        wrong++;
        progress.clear();
        const lines = faults.map(({ field, reason }) => `${file}:${index + 1}: ${field ? `${field}: ` : ''}${reason}`);
        terminal.out.write(lines.map(printable).join(''));
        for (const problem of new Set(faults.map((fault) => fault.problem))) problems.set(problem, (problems.get(problem) ?? 0) + 1);
      } else if (sample) {
        const task = tasks.get(sample.task) ?? { samples: 0, masks: 0 };
        tasks.set(sample.task, { samples: task.samples + 1, masks: task.masks + sample.masks.length });
        if (image && index < (options.limit ?? drawn)) await pictures?.add(`${names}${index + 1}`, sample, image);
      }
      progress.update(index + 1, count);
    }
  } finally {
    progress.clear();
  }
  terminal.out.write(`${file}: ${count - wrong} of ${count} samples are good\n`);
  const rows = [
    ...[...tasks].map(([task, { samples, masks }]) => [`  ${task}`, `${samples} samples`, `${masks} masks`]),
    ...[...problems].map(([problem, samples]) => [`  wrong: ${problem}`, `${samples} samples`]),
  ];
  if (rows.length > 0) terminal.out.write(`${formatTable(rows)}\n`);
  return { samples: count, wrong };
}

/** A line of its own whatever stands in a file: control characters would be commands to the terminal. */
const printable = (line: string) => `${line.replace(/\p{Cc}/gu, '\ufffd')}\n`;
