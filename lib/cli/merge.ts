/** `mglmm merge SOURCE DESTINATION`: a raw dump of training, or an adapter and its base, as one folder without LoRA. */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { type Command, InvalidArgumentError } from 'commander';
import { CheckpointError } from '../errors';
import { type Adapter, alphaOverRank, defaultAlpha, mergeAdapter, openAdapter } from '../weights/merge_lora';
import type { ModelFolder } from '../weights/model_folder';
import { expectNewFolder } from '../weights/new_folder';
import type { StoredTensor } from '../weights/stored';
import type { Context } from './terminal';
import { expectWhole, type OutputOptions, openToWrite, outputOptions, writeModel } from './write_model';

interface MergeOptions extends OutputOptions {
  readonly base?: string;
  readonly alpha?: number;
}

export function define(command: Command, context: Context): void {
  outputOptions(
    command
      .argument('<source>', 'dump of training with LoRA matrices, or folder of a PEFT adapter')
      .argument('<destination>', 'new folder')
      .option('--base <dir>', 'the model that was trained; for a dump only what that lacks is taken from it')
      .option('--alpha <number>', `of a dump, the matrices are scaled by alpha / rank; default ${defaultAlpha}`, parseAlpha),
  ).action(async (source: string, destination: string, options: MergeOptions) => {
    await expectNewFolder(destination);
    const { base, adapter } = await openBoth(source, options, context);
    const merged = mergeAdapter(base.tensors, adapter, options.dtype);
    const folder = resultOf(base, adapter);
    const parts = expectWhole(folder, options, context);
    context.terminal.err.write(`merging LoRA into ${merged.corrected.length} weights, such as ${merged.corrected[0]}\n`);
    if (merged.replaced.length > 0) context.terminal.err.write(`${merged.replaced.length} more weights are those of ${source}\n`);
    await writeModel(destination, folder, parts, merged.tensors, options, context);
  });
}

function parseAlpha(text: string): number {
  const alpha = Number(text);
  if (!Number.isFinite(alpha) || text.trim() === '') throw new InvalidArgumentError('expected a number');
  return alpha;
}

async function openBoth(source: string, options: MergeOptions, context: Context): Promise<{ base: ModelFolder; adapter: Adapter }> {
  const adapter = await openAdapter(source);
  if (adapter) {
    const base = options.base ?? (await localBase(source, adapter.baseName));
    return { base: await openToWrite(base, options, context), adapter };
  }
  const dump = await openToWrite(source, options.base ? { clip: options.clip === false ? false : undefined } : options, context);
  if (!dump.sources[0]?.layout.lora) throw new CheckpointError(`${source} has no LoRA matrices: there is nothing to merge`);
  const scaling = alphaOverRank(options.alpha ?? defaultAlpha);
  if (!options.base) return { base: dump, adapter: { tensors: new Map(), scaling } };
  const base = await openToWrite(options.base, options, context);
  return { base: { ...base, family: dump.family === 'llama' ? base.family : dump.family }, adapter: { tensors: dump.tensors, scaling } };
}

/** The base that an adapter names, where that is a folder here. */
async function localBase(source: string, name: string | undefined): Promise<string> {
  const found = name ? await stat(resolve(source, name)).catch(() => undefined) : undefined;
  if (name && found?.isDirectory()) return resolve(source, name);
  throw new CheckpointError(`the base of ${source} is ${name ?? 'not named'}, which is no folder here: give it with --base DIR`);
}

/** The model that comes of it: the base, with what training added. */
function resultOf(base: ModelFolder, { tensors }: Adapter): ModelFolder {
  const all = new Map<string, StoredTensor>([...base.tensors, ...tensors].filter(([key]) => !/\.lora_[AB]$/.test(key)));
  const grown = base.family === 'llama' && [...all.keys()].some((key) => key.startsWith('model.mm_projector.'));
  return { ...base, family: grown ? 'llava' : base.family, tensors: all };
}
