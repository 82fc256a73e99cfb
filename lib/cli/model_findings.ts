/** What `mglmm doctor --model DIR` finds: whether a folder of weights is a model that answers, and whether it fits this machine. */
import { MglmmError } from '../errors';
import { type ModelParts, modelParts } from '../models/model_parts';
import { partOf } from '../weights/layouts';
import { type ModelFolder, type ModelFolderOptions, openModelFolder } from '../weights/model_folder';
import type { Finding } from './findings';
import { memory } from './machine';
import { problemsOf, tokensOf } from './model_problems';
import { formatBytes } from './terminal';

/** Of one kind that are shown. */
const most = 3;

interface Elsewhere extends ModelFolderOptions {
  readonly tokenizer?: string;
}

export async function modelFindings(path: string, { tokenizer, ...towers }: Elsewhere): Promise<Finding[]> {
  try {
    const folder = await openModelFolder(path, towers);
    const parts = modelParts(folder);
    const { problems } = await tokensOf(folder, parts, tokenizer);
    const wrong = [...problemsOf(folder, parts), ...problems];
    const { tensors, family, manifest } = folder;
    const found = `${path}: ${family}, ${tensors.size} tensors${manifest ? `, converted by ${manifest.madeBy}` : ''}`;
    return [
      { what: 'model', found, state: 'good' },
      ...wrong.slice(0, most).map((problem): Finding => ({ what: 'model', found: problem, state: 'bad', fix: fixOf(problem, folder) })),
      ...(wrong.length > most
        ? [{ what: 'model', found: `and ${wrong.length - most} more`, state: 'bad', fix: `mglmm inspect ${path}` } as const]
        : []),
      roomFor(folder, parts),
    ];
  } catch (error) {
    if (!(error instanceof MglmmError)) throw error;
    return [{ what: 'model', found: error.message, state: 'bad' }];
  }
}

function fixOf(problem: string, { path, folder }: ModelFolder): string | undefined {
  if (problem.includes('guessed')) return `cp FOLDER_OF_THE_MODEL/{mglmm,config}.json ${folder}`;
  if (problem.startsWith('clip:')) return `mglmm convert ${path} NEW_FOLDER --clip CLIP_FOLDER`;
  if (problem.startsWith('sam:')) return `mglmm convert ${path} NEW_FOLDER --sam SAM_FILE`;
  if (problem.startsWith('LoRA')) return `mglmm merge ${path} NEW_FOLDER`;
  if (problem.startsWith('tokenizer:')) return `cp FOLDER_WITH_TOKENIZER/tokenizer.model ${folder}`;
  return undefined;
}

/** Bytes of a weight of the language model, and of a weight elsewhere. */
const widths = { bf16: [2, 2], int8: [1.03, 2], int4: [0.53, 2] } as const;
/** Of activations and what is kept of images, for models of the published sizes. */
const workBytes = 1.5e9;

function roomFor({ tensors }: ModelFolder, { configs: { llama } }: ModelParts): Finding {
  let [language, other] = [0, 0];
  for (const [key, { shape }] of tensors) {
    const count = shape.reduce((product, size) => product * size, 1);
    if (llama && partOf(key) === 'llama' && !key.includes('embed_tokens')) language += count;
    else other += count;
  }
  const { availableBytes } = memory();
  const needs = Object.entries(widths).map(([dtype, [inside, outside]]) => ({
    dtype,
    bytes: inside * language + outside * other + Math.min(workBytes, 4 * (language + other)),
  }));
  const found = needs.map(({ dtype, bytes }) => `${formatBytes(bytes)} as ${dtype}`).join(', ');
  const fitting = needs.find(({ bytes }) => bytes <= availableBytes);
  const what = 'room';
  if (fitting?.dtype === 'bf16') return { what, found: `enough: it needs about ${found}`, state: 'good' };
  const free = `there is ${formatBytes(availableBytes)}`;
  if (fitting) return { what, found: `it needs about ${found}; ${free}`, state: 'note', fix: `mglmm answer ... --dtype ${fitting.dtype}` };
  return { what, found: `it needs about ${found}; ${free}`, state: 'bad', fix: 'close other programs, or take a machine with more memory' };
}
