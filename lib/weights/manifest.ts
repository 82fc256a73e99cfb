/**
 * `mglmm.json`, what `mglmm convert` says about the folder it wrote: of which family the weights are (the names of their
 * tensors no longer tell), how to talk to the model, the sizes of its parts, and a hash of every file.
 */
import { join } from 'node:path';
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

/**
 * The manifest of a folder.
 * @returns undefined when it has none.
 * @throws CheckpointFormatError, naming the field that does not fit.
 */
export async function readManifest(folder: string): Promise<Manifest | undefined> {
  const path = join(folder, manifestFile);
  const json = await readJsonObject(path);
  if (json === undefined) return undefined;
  const { data, error } = schema.safeParse(json);
  if (error) refuse(path, error.issues.map(({ path: field, message }) => `${field.join('.') || 'manifest'}: ${message}`).join('; '), error);
  return data;
}
