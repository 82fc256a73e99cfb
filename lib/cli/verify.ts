/** `mglmm verify PATH`: hashes against the manifest, names and shapes against the sizes of the model, values for NaN. */
import type { Command } from 'commander';
import { CheckpointError } from '../errors';
import { modelParts } from '../models/model_parts';
import type { Part } from '../weights/layouts';
import { readManifest } from '../weights/manifest';
import { type ModelFolderOptions, openModelFolder } from '../weights/model_folder';
import { verifyFiles, verifyValues } from '../weights/verify';
import { watched } from './progress';
import type { Context } from './terminal';

/** Problems of one kind that are printed. */
const MOST = 20;

export function define(command: Command, { terminal, signal }: Context): void {
  command
    .argument('<path>', 'folder or file of weights')
    .option('--clip <dir>', 'folder or file of the CLIP tower, where it is elsewhere')
    .option('--sam <file>', 'file of Segment Anything, where the model has none')
    .action(async (path: string, towers: ModelFolderOptions) => {
      let wrong = 0;
      const report = (what: string, problems: readonly string[], otherwise: string) => {
        wrong += problems.length;
        const shown = problems.slice(0, MOST).map((problem) => `  ${problem}\n`);
        const rest = problems.length > MOST ? `  and ${problems.length - MOST} more\n` : '';
        terminal.out.write(`${what.padEnd(8)}${problems.length === 0 ? otherwise : `${problems.length} wrong`}\n${shown.join('')}${rest}`);
      };

      const manifest = await readManifest(path);
      if (manifest) {
        const problems = await watched(terminal.err, 'hashing', (onProgress) => verifyFiles(path, manifest, { onProgress, signal }));
        report('files', problems, `${Object.keys(manifest.files).length} are as they were written`);
      } else terminal.out.write('files   there is no mglmm.json to compare with\n');

      const folder = await openModelFolder(path, towers);
      const { difference, missing, guesses } = modelParts(folder);
      const leftOut = (part: Part) => part === 'clip' && manifest !== undefined && manifest.config.clip === undefined;
      const shapes = [
        ...missing.filter((part) => !leftOut(part)).map((part) => `${part}: nothing of it is here`),
        ...difference.missing.map((key) => `${key} is missing`),
        ...difference.misshapen,
        ...difference.unexpected.map((key) => `${key} is of no known part`),
        ...guesses,
      ];
      report('shapes', shapes, `${folder.tensors.size} tensors are those of the family ${folder.family}`);

      const values = await watched(terminal.err, 'reading', (onProgress) => verifyValues(folder.tensors, { onProgress, signal }));
      report('values', values, 'all are finite');
      if (wrong > 0) throw new CheckpointError(`${path}: ${wrong} ${wrong === 1 ? 'thing is' : 'things are'} wrong`);
    });
}
