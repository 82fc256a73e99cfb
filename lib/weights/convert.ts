/** Any folder that can be opened, as one folder of this package: safetensors under its own keys, tokenizer, manifest. */
import { readFile } from 'node:fs/promises';
import { basename } from 'node:path';
import type { Dtype } from '../native';
import { partOf } from './layouts';
import { type Manifest, manifestFile } from './manifest';
import { type ModelFolder, tokenizerFilesIn } from './model_folder';
import { writeNewFolder } from './new_folder';
import { storedToWrite } from './stored_pieces';
import { type TensorToWrite, type WriteOptions, writeCheckpoint, writeHashed } from './write_checkpoint';

/** What the manifest says that tensors do not. */
export interface AboutModel {
  readonly family: Manifest['family'];
  readonly template?: Manifest['template'];
  readonly config: Manifest['config'];
  /** Paths of files that go along: tokenizer, config.json. */
  readonly files: readonly string[];
  /** Of this package. */
  readonly version: string;
}

/** In this order in the files, which is the order in which they are used. */
const parts = ['llama', 'projector', 'textHiddenFcs', 'sam', 'clip', 'other'] as const;

/**
 * The tensors of `folder` as they are written.
 * @param dtype - of numbers with fractions; default as stored.
 */
export function tensorsToWrite({ tensors }: ModelFolder, dtype?: Dtype): TensorToWrite[] {
  return Array.from(tensors, ([key, stored]) => storedToWrite(key, stored, dtype));
}

/**
 * Writes a model into a new folder, which appears when all of it is there.
 * @throws ArgumentError when `destination` is not empty or its disk too full; AbortedError when `signal` fires.
 */
export async function writeModelFolder(
  destination: string,
  tensors: readonly TensorToWrite[],
  about: AboutModel,
  options: WriteOptions = {},
): Promise<Manifest> {
  const byNumber = new Intl.Collator('en', { numeric: true });
  const rank = ({ key }: TensorToWrite) => parts.indexOf(partOf(key));
  const ordered = [...tensors].sort((a, b) => rank(a) - rank(b) || byNumber.compare(a.key, b.key));
  const bytes = ordered.reduce((sum, tensor) => sum + tensor.bytes, 0);
  return writeNewFolder(destination, bytes, async (folder) => {
    const written = await writeCheckpoint(folder, ordered, options);
    for (const path of about.files) written.push(await writeHashed(folder, basename(path), await readFile(path)));
    const manifest: Manifest = {
      format: 1,
      madeBy: `mglmm ${about.version}`,
      family: about.family,
      template: about.template,
      tokenizer: tokenizerFilesIn(about.files.map((path) => basename(path))),
      config: about.config,
      files: Object.fromEntries(written.map(({ name, bytes: size, sha256 }) => [name, { bytes: size, sha256 }])),
    };
    await writeHashed(folder, manifestFile, `${JSON.stringify(manifest, undefined, 2)}\n`);
    return manifest;
  });
}
