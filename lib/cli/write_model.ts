/** What `convert` and `merge` share: the options of what is written, the checks before, the folder and a summary. */
import { readFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type Command, InvalidArgumentError, Option } from 'commander';
import { ArgumentError, CheckpointError } from '../errors';
import { type ModelParts, modelParts } from '../models/model_parts';
import type { Dtype } from '../native';
import { differenceError } from '../nn/difference';
import { type PromptStyle, promptStyles, type TemplateName, templates } from '../text/template';
import { writeModelFolder } from '../weights/convert';
import { type Family, partOf } from '../weights/layouts';
import { manifestFile, readManifest } from '../weights/manifest';
import { type ModelFolder, openModelFolder, tokenizerFilesIn } from '../weights/model_folder';
import { verifyFiles } from '../weights/verify';
import type { TensorToWrite } from '../weights/write_checkpoint';
import { Progress, watched } from './progress';
import { type Context, formatBytes } from './terminal';
import { UsageError } from './usage';

export interface OutputOptions {
  /** False: `--no-clip`. */
  readonly clip?: string | false;
  readonly sam?: string;
  readonly tokenizer?: string;
  readonly template?: TemplateName;
  readonly dtype?: Dtype;
  /** In bytes. */
  readonly shardSize?: number;
}

export function outputOptions(command: Command): Command {
  return command
    .option('--clip <dir>', 'folder or file of the CLIP tower, where it is elsewhere')
    .option('--no-clip', 'leave the CLIP tower out')
    .option('--sam <file>', 'file of Segment Anything, where the model has none')
    .option('--tokenizer <dir>', 'folder to take files of the tokenizer from that the model lacks')
    .addOption(new Option('--template <name>', 'form of conversations; default that of the family').choices(Object.keys(templates)))
    .addOption(new Option('--dtype <dtype>', 'of the weights; default as they are').choices(['f32', 'bf16', 'f16']))
    .option('--shard-size <gigabytes>', 'of one file at most; default 4', parseGigabytes);
}

function parseGigabytes(text: string): number {
  const gigabytes = Number(text);
  if (!(gigabytes > 0)) throw new InvalidArgumentError('expected a number above 0');
  return gigabytes * 1e9;
}

/**
 * The model at `path` with the towers that `options` name, and without its CLIP tower where they say so.
 * @throws CheckpointError for what is not as its manifest says: what is written of it would get a manifest that does.
 */
export async function openToWrite(
  path: string,
  { clip, sam }: Pick<OutputOptions, 'clip' | 'sam'>,
  context: Context,
): Promise<ModelFolder> {
  const folder = await openModelFolder(path, { clip: clip || undefined, sam });
  for (const { checkpoint } of folder.sources) await expectUnchanged(checkpoint.path, context);
  return clip === false ? withoutClip(folder) : folder;
}

async function expectUnchanged(path: string, { terminal, signal }: Context): Promise<void> {
  const manifest = await readManifest(path);
  if (!manifest) return;
  const problems = await watched(terminal.err, 'hashing', (onProgress) => verifyFiles(path, manifest, { onProgress, signal }));
  if (problems.length > 0) throw new CheckpointError(`${path} is not as its ${manifestFile} says: ${problems.join('; ')}`);
}

function withoutClip({ manifest, ...folder }: ModelFolder): ModelFolder {
  if (folder.family === 'clip') throw new UsageError(`--no-clip: ${folder.path} is a CLIP tower alone, of which it leaves nothing`);
  const tensors = new Map([...folder.tensors].filter(([key]) => partOf(key) !== 'clip'));
  if (!manifest) return { ...folder, tensors };
  const { clip: _, ...config } = manifest.config;
  return { ...folder, tensors, manifest: { ...manifest, config } };
}

/**
 * The parts of a model that has all its tensors; what of them is guessed is said, as from here on a manifest says it.
 * @throws CheckpointError when it has not.
 */
export function expectWhole(folder: ModelFolder, { clip }: OutputOptions, { terminal }: Context): ModelParts {
  const parts = modelParts(folder);
  const { missing, misshapen } = parts.difference;
  if (missing.length + misshapen.length > 0) throw differenceError(`${folder.path} is not whole`, parts.difference);
  for (const part of parts.missing) {
    if (part !== 'clip') throw new CheckpointError(`${folder.path} has nothing of the part ${part}, which a ${folder.family} has`);
    if (clip === false) continue;
    const name = folder.clipNotFound ?? 'the CLIP tower';
    throw new CheckpointError(
      `${name} is not in ${folder.path} or beside it: give its folder with --clip DIR, or leave it out with --no-clip`,
    );
  }
  for (const guess of parts.guesses) terminal.err.write(`mglmm: ${folder.path}: ${guess}\n`);
  return parts;
}

/** A language model alone, and a tower, have none. */
const styles: Readonly<Partial<Record<Family, PromptStyle>>> = promptStyles;

/** Writes `tensors`, but for those of no part that is known, and says what was written. */
export async function writeModel(
  destination: string,
  folder: ModelFolder,
  { configs, difference }: ModelParts,
  tensors: readonly TensorToWrite[],
  options: OutputOptions,
  { terminal, signal }: Context,
): Promise<void> {
  const tokenizer = await tokenizerOf(folder, options.tokenizer);
  const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string };
  const config = { llama: fields(configs.llama), clip: fields(configs.clip), sam: fields(configs.sam) };
  const template = options.template ?? folder.manifest?.template ?? styles[folder.family]?.template;
  const about = { family: folder.family, template, config, files: [...tokenizer, ...folder.configFiles], version };
  const unknown = new Set(difference.unexpected);
  const progress = new Progress(terminal.err, 'writing');
  const onProgress = ({ key, bytes, totalBytes }: { key: string; bytes: number; totalBytes: number }) =>
    progress.update(bytes, totalBytes, key);
  try {
    const written = tensors.filter(({ key }) => !unknown.has(key));
    const manifest = await writeModelFolder(destination, written, about, { shardBytes: options.shardSize, onProgress, signal });
    progress.clear();
    const bytes = Object.values(manifest.files).reduce((sum, file) => sum + file.bytes, 0);
    terminal.out.write(
      `${destination}: ${folder.family}, ${written.length} tensors, ${formatBytes(bytes)} in ${Object.keys(manifest.files).length} files\n`,
    );
  } finally {
    progress.clear();
  }
  if (unknown.size > 0) terminal.err.write(`left out ${unknown.size} tensors of no known part, such as ${difference.unexpected[0]}\n`);
  const speaks = configs.llama !== undefined;
  if (speaks && !tokenizer.some((path) => /tokenizer\.(model|json)$/.test(path))) {
    terminal.err.write('it has no tokenizer: give the folder of one with --tokenizer DIR\n');
  }
}

/** The model's own files, as its added tokens are of its training, and what else `elsewhere` has. */
async function tokenizerOf({ tokenizer }: ModelFolder, elsewhere: string | undefined): Promise<string[]> {
  if (elsewhere === undefined) return [...tokenizer];
  const files = tokenizerFilesIn(await readdir(elsewhere).catch(() => []));
  if (files.length === 0) throw new ArgumentError(`--tokenizer: ${elsewhere} has no tokenizer.model or tokenizer.json`);
  const own = tokenizer.map((path) => basename(path));
  return [...tokenizer, ...files.filter((file) => !own.includes(file)).map((file) => join(elsewhere, file))];
}

const fields = (config: object | undefined): Record<string, unknown> | undefined => (config ? { ...config } : undefined);
