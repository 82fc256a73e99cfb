/**
 * `mglmm.json`, what `mglmm convert` says about the folder it wrote: of which family the weights are (the names of their
 * tensors no longer tell), how to talk to the model, the sizes of its parts, and a hash of every file.
 */
import { stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import { type TemplateName, templates } from '../text/template';
import { readJsonObject } from './json_file';
import type { Family } from './layouts';
import { refuse } from './refuse';

export const manifestFile = 'mglmm.json';

const families = ['mglmm', 'glamm', 'lisa', 'llava', 'llava-hf', 'llama', 'clip', 'sam'] as const satisfies readonly Family[];
const sizes = z.record(z.string(), z.unknown());

const schema = z.object({
  /** Of this file; others are refused. */
  format: z.literal(1),
  /** The program that wrote it. */
  madeBy: z.string(),
  family: z.enum(families),
  /** Name of the conversation form. */
  template: z.enum(Object.keys(templates) as [TemplateName, ...TemplateName[]]).optional(),
  /** Files of the tokenizer. */
  tokenizer: z.array(z.string()),
  /** Sizes of the parts, in the fields of `LlamaConfig`, `ClipConfig` and `SamConfig`. */
  config: z.object({ llama: sizes.optional(), clip: sizes.optional(), sam: sizes.optional() }),
  files: z.record(z.string(), z.object({ bytes: z.int().nonnegative(), sha256: z.string().regex(/^[0-9a-f]{64}$/) })),
});

export type Manifest = Readonly<z.infer<typeof schema>>;

/** `path`, or the folder of that file. */
export async function folderOf(path: string): Promise<string> {
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? dirname(path) : path;
}

/**
 * The manifest of a folder, or of a file the one beside it, if that names it: without the other files.
 * @returns undefined when there is none.
 * @throws CheckpointFormatError, naming the field that does not fit.
 */
export async function readManifest(of: string): Promise<Manifest | undefined> {
  const folder = await folderOf(of);
  const path = join(folder, manifestFile);
  const json = await readJsonObject(path);
  if (json === undefined) return undefined;
  const { data, error } = schema.safeParse(json);
  if (error) refuse(path, error.issues.map(({ path: field, message }) => `${field.join('.') || 'manifest'}: ${message}`).join('; '), error);
  if (folder === of) return data;
  const file = data.files[basename(of)];
  return file && { ...data, files: { [basename(of)]: file } };
}
