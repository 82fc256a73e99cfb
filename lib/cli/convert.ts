/** `mglmm convert SOURCE DESTINATION`: any model that can be read, as one folder. */
import type { Command } from 'commander';
import { CheckpointError } from '../errors';
import { tensorsToWrite } from '../weights/convert';
import { expectNewFolder } from '../weights/new_folder';
import type { Context } from './terminal';
import { expectWhole, type OutputOptions, openToWrite, outputOptions, writeModel } from './write_model';

export function define(command: Command, context: Context): void {
  outputOptions(command.argument('<source>', 'folder or file of weights').argument('<destination>', 'new folder')).action(
    async (source: string, destination: string, options: OutputOptions) => {
      await expectNewFolder(destination);
      const folder = await openToWrite(source, options, context);
      if (folder.sources[0]?.layout.lora)
        throw new CheckpointError(`${source} has LoRA matrices that are not merged: run mglmm merge instead`);
      const parts = expectWhole(folder, options, context);
      await writeModel(destination, folder, parts, tensorsToWrite(folder, options.dtype), options, context);
    },
  );
}
