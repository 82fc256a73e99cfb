/** `mglmm scenes --out DIR`: made-up pictures with everything that is known of them, as files. */
import { type Command, InvalidArgumentError, Option } from 'commander';
import { splitNames } from '../data/scenes/key';
import { type WriteScenesOptions, writeScenes } from '../data/scenes/write_scenes';
import { writeNewFolder } from '../weights/new_folder';
import { Progress } from './progress';
import type { Context } from './terminal';

interface ScenesOptions extends Pick<WriteScenesOptions, 'count' | 'seed' | 'size' | 'split'> {
  readonly out: string;
}

export function define(command: Command, { terminal, signal }: Context): void {
  command
    .requiredOption('--out <dir>', 'new folder: pictures, samples, COCO panoptic, MGSC annotations (docs/scenes.md)')
    .option('--count <number>', 'scenes', parseWhole, 100)
    .option('--seed <number>', 'another one gives other scenes', parseWhole, 1)
    .option('--size <pixels>', 'of a side', parseWhole, 256)
    .addOption(new Option('--split <name>', 'which scenes').choices(splitNames).default('train'))
    .action(async ({ out, ...options }: ScenesOptions) => {
      const progress = new Progress(terminal.err, 'drawing', (amount) => amount.toLocaleString('en'));
      try {
        const bytes = 5 * options.count * options.size ** 2; // two pictures, seldom so large
        const samples = await writeNewFolder(out, bytes, (folder) =>
          writeScenes(folder, { ...options, signal, onProgress: (done) => progress.update(done, options.count) }),
        );
        progress.clear();
        terminal.out.write(`${out}: ${options.count} scenes, ${samples} samples; see contact_sheet.png\n`);
      } finally {
        progress.clear();
      }
    });
}

function parseWhole(text: string): number {
  const value = Number(text);
  if (!(Number.isInteger(value) && value >= 0)) throw new InvalidArgumentError('expected a whole number, 0 or more');
  return value;
}
