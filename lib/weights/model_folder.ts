/**
 * A model as it lies on the disk: a folder of weights with its configuration and tokenizer, and the towers that some families
 * keep elsewhere. Nothing of the values is read.
 */
import { readdir, stat } from 'node:fs/promises';
import { basename, join, resolve } from 'node:path';
import { CheckpointError } from '../errors';
import { type JsonObject, readJsonObject } from './json_file';
import { clipPrefix, type Family, type Layout, layoutOf, partOf, samPrefix, under } from './layouts';
import { folderOf, type Manifest, readManifest } from './manifest';
import { openCheckpoint } from './open_checkpoint';
import { type KeyedTensors, keyedTensors, type Source } from './sources';

export interface ModelFolderOptions {
  /** Folder or file of the CLIP tower; default where config.json says, if it is there. */
  readonly clip?: string;
  /** File of Segment Anything, for a language model that has none. */
  readonly sam?: string;
}

/** Weights of the model or of one of its towers. */
export interface ModelSource extends Required<Source> {
  readonly layout: Layout;
}

export interface ModelFolder {
  /** Of the folder, or of the file, that was opened. */
  readonly path: string;
  /** `path`, or the folder of that file. */
  readonly folder: string;
  readonly family: Family;
  readonly manifest?: Manifest;
  /** The weights, then those of towers beside it. */
  readonly sources: readonly ModelSource[];
  /** What will be loaded, by key. */
  readonly tensors: KeyedTensors['tensors'];
  /** Names of tensors that nothing has a use for. */
  readonly ignored: readonly string[];
  /** config.json, empty without. */
  readonly config: JsonObject;
  /** config.json of the CLIP tower, where that is elsewhere. */
  readonly clipConfig?: JsonObject;
  /** A tower that config.json names and that is not there. */
  readonly clipNotFound?: string;
  /** Paths of the tokenizer's files. */
  readonly tokenizer: readonly string[];
  /** Paths of config.json and the like. */
  readonly configFiles: readonly string[];
}

/** Those of `files` that belong to a tokenizer. */
export const tokenizerFilesIn = (files: readonly string[]): string[] => tokenizerFiles.filter((file) => files.includes(file));

const tokenizerFiles = ['tokenizer.model', 'tokenizer.json', 'added_tokens.json', 'tokenizer_config.json', 'special_tokens_map.json'];
const configFiles = ['config.json', 'generation_config.json'];
/** Families that are one tower and want no other. */
const towers: readonly Family[] = ['clip', 'sam'];

/**
 * Opens a folder or file of weights and what belongs to it.
 * @throws CheckpointNotFoundError, CheckpointFormatError, CheckpointIndexError, CheckpointUnsafeError: see `openCheckpoint`.
 * @throws CheckpointError when a tower is given twice, or is of another kind.
 */
export async function openModelFolder(path: string, options: ModelFolderOptions = {}): Promise<ModelFolder> {
  const checkpoint = await openCheckpoint(path);
  const folder = await folderOf(path);
  const manifest = await readManifest(path);
  // A file that no manifest names may be any model's: what is beside it says nothing of it.
  const whole = folder === path || manifest !== undefined;
  const config = (whole ? await readJsonObject(join(folder, 'config.json')) : undefined) ?? {};
  const layout = layoutOf(checkpoint.names);
  const family = manifest?.family ?? layout.family;
  const sources: ModelSource[] = [{ checkpoint, layout, keyOf: layout.keyOf }];
  const hasClip = checkpoint.names.some((name) => partOf(layout.keyOf(name) ?? '') === 'clip');
  const named = towers.includes(family) || hasClip ? undefined : clipName(config);
  const clip = options.clip ?? (named ? await findTower(folder, named) : undefined);
  if (clip !== undefined) sources.push(await openTower(clip, 'clip', clipPrefix));
  if (options.sam !== undefined) sources.push(await openTower(options.sam, 'sam', samPrefix));
  const clipFolder = clip === undefined ? undefined : await readJsonObject(join(clip, 'config.json'));
  const present = whole ? await readdir(folder) : [];
  return {
    path,
    folder,
    family,
    manifest,
    sources,
    ...keyedTensors(sources),
    config,
    clipConfig: clipFolder,
    clipNotFound: clip === undefined ? named : undefined,
    tokenizer: tokenizerFilesIn(present).map((file) => join(folder, file)),
    configFiles: configFiles.filter((file) => present.includes(file)).map((file) => join(folder, file)),
  };
}

function clipName(config: JsonObject): string | undefined {
  const name = config.mm_vision_tower ?? config.vision_tower;
  return typeof name === 'string' && name !== '' ? name : undefined;
}

/** The tower's folder: as it is written, or by its last name in the model's folder or beside it. */
async function findTower(folder: string, name: string): Promise<string | undefined> {
  const last = basename(name);
  for (const candidate of [resolve(folder, name), join(folder, last), join(resolve(folder), '..', last)]) {
    const found = await stat(candidate).catch(() => undefined);
    if (found?.isDirectory()) return candidate;
  }
  return undefined;
}

async function openTower(path: string, family: 'clip' | 'sam', prefix: string): Promise<ModelSource> {
  const checkpoint = await openCheckpoint(path);
  const layout = layoutOf(checkpoint.names);
  if (layout.family !== family) throw new CheckpointError(`${path} holds a ${layout.family}, expected a ${family}`);
  const moved = under(prefix, layout);
  return { checkpoint, layout: moved, keyOf: moved.keyOf };
}
