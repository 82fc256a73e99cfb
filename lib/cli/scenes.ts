/** `mglmm scenes --out DIR`: made-up pictures with everything that is known of them, as files. */
import { type Command, Option } from 'commander';
import { splitNames } from '../data/scenes/key';
import { type WriteScenesOptions, writeScenes } from '../data/scenes/write_scenes';
import { writeNewFolder } from '../weights/new_folder';
import { number } from './numbers';
import { Progress } from './progress';
import type { Context } from './terminal';
import { refuseTyped } from './usage';

interface ScenesOptions extends Pick<WriteScenesOptions, 'count' | 'seed' | 'size' | 'split'> {
  readonly out: string;
}

export function define(command: Command, { terminal, signal }: Context): void {
  const whole = number({ whole: true, from: 0 });
  command
    .requiredOption('--out <dir>', 'new folder: pictures, samples, COCO panoptic, MGSC annotations (docs/scenes.md)')
    .option('--count <number>', 'scenes', whole, 100)
    .option('--seed <number>', 'another one gives other scenes', whole, 0)
    .option('--size <pixels>', 'of a side', whole, 256)
    .addOption(new Option('--split <name>', 'which scenes').choices(splitNames).default('train'))
    .action(async ({ out, ...options }: ScenesOptions) => {
      const progress = new Progress(terminal.err, 'drawing', (amount) => amount.toLocaleString('en'));
      try {
        const bytes = 5 * options.count * options.size ** 2; // two pictures, seldom so large
        const samples = await writeNewFolder(out, bytes, (folder) =>
          writeScenes(folder, { ...options, signal, onProgress: (done) => progress.update(done, options.count) }).catch(refuseTyped),
        );
        progress.clear();
        terminal.out.write(`${out}: ${options.count} scenes, ${samples} samples; see contact_sheet.png\n`);
      } finally {
        progress.clear();
      }
    });
}
