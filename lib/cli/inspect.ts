/** `mglmm inspect PATH`: family, parts, sizes and tokenizer of a folder or file of weights, and what it lacks. */
import { basename } from 'node:path';
import type { Command } from 'commander';
import { type ModelParts, modelParts } from '../models/model_parts';
import { samPresets } from '../models/sam/config';
import { type Part, partOf } from '../weights/layouts';
import { type ModelFolder, openModelFolder } from '../weights/model_folder';
import { problemsOf, type Tokens, tokensOf } from './model_problems';
import { type Context, formatBytes, formatTable } from './terminal';

interface InspectOptions {
  readonly clip?: string;
  readonly sam?: string;
  readonly tokenizer?: string;
  readonly json?: boolean;
}

interface PartFigures {
  tensors: number;
  parameters: number;
  bytes: number;
  dtypes: string[];
}

export function define(command: Command, { terminal }: Context): void {
  command
    .argument('<path>', 'folder or file of weights')
    .option('--clip <dir>', 'folder or file of the CLIP tower, where it is elsewhere')
    .option('--sam <file>', 'file of Segment Anything, where the model has none')
    .option('--tokenizer <dir>', 'folder of its tokenizer, where it is elsewhere')
    .option('--json', 'the same for programs')
    .action(async (path: string, { json, tokenizer, ...towers }: InspectOptions) => {
      const folder = await openModelFolder(path, towers);
      const parts = modelParts(folder);
      const tokens = await tokensOf(folder, parts, tokenizer);
      const text = json ? JSON.stringify(asJson(folder, parts, tokens), undefined, 2) : asText(folder, parts, tokens);
      terminal.out.write(`${text}\n`);
    });
}

function figuresOf({ tensors }: ModelFolder): Map<Part, PartFigures> {
  const figures = new Map<Part, PartFigures>();
  for (const [key, { shape, bytes, dtype }] of tensors) {
    const part = partOf(key);
    const sum = figures.get(part) ?? { tensors: 0, parameters: 0, bytes: 0, dtypes: [] };
    sum.tensors++;
    sum.parameters += shape.reduce((product, size) => product * size, 1);
    sum.bytes += bytes;
    if (!sum.dtypes.includes(dtype)) sum.dtypes.push(dtype);
    figures.set(part, sum);
  }
  return figures;
}

function filesOf(folder: ModelFolder): string[] {
  return [...new Set(folder.sources.flatMap(({ checkpoint }) => checkpoint.names.map((name) => checkpoint.get(name).file)))];
}

function asJson(folder: ModelFolder, parts: ModelParts, tokens: Tokens) {
  return {
    path: folder.path,
    family: folder.family,
    converted: folder.manifest !== undefined,
    files: filesOf(folder),
    parts: Object.fromEntries(figuresOf(folder)),
    config: parts.configs,
    tokenizer: { files: tokens.files, size: tokens.size, added: tokens.added },
    problems: [...problemsOf(folder, parts), ...tokens.problems],
    unexpected: parts.difference.unexpected,
    ignored: folder.ignored,
  };
}

function sizesOf({ configs: { llama, clip, sam } }: ModelParts, part: Part): string {
  if (part === 'llama' && llama) return `dim ${llama.dim}, ${llama.depth} layers, ${llama.heads} heads, vocabulary ${llama.vocabSize}`;
  if (part === 'clip' && clip) return `${clip.imageSize} px, patch ${clip.patchSize}, dim ${clip.dim}, ${clip.depth} layers`;
  if (part !== 'sam' || !sam) return '';
  const preset = Object.entries(samPresets).find(([, { dim, depth }]) => dim === sam.dim && depth === sam.depth)?.[0];
  return `${preset ? `${preset}, ` : ''}${sam.imageSize} px, dim ${sam.dim}, ${sam.depth} blocks`;
}

function asText(folder: ModelFolder, parts: ModelParts, tokens: Tokens): string {
  const table = [['part', 'tensors', 'parameters', 'size', 'dtype', '']];
  for (const [part, { tensors, parameters, bytes, dtypes }] of figuresOf(folder)) {
    table.push([part, String(tensors), parameters.toLocaleString('en'), formatBytes(bytes), dtypes.join(', '), sizesOf(parts, part)]);
  }
  const files = filesOf(folder);
  const added = Object.entries(tokens.added).map(([token, id]) => `${token} ${id}`);
  const wrong = [...problemsOf(folder, parts), ...tokens.problems];
  return [
    `${folder.path}: ${folder.family}${folder.manifest ? ', converted by mglmm' : ''}, ${files.length} ${files.length === 1 ? 'file' : 'files'}`,
    '',
    formatTable(table),
    '',
    ...(folder.manifest?.template ? [`template    ${folder.manifest.template}`] : []),
    `tokenizer   ${tokens.files.map((path) => basename(path)).join(', ') || 'none'}`,
    ...(added.length > 0 ? [`added       ${added.join(', ')}`] : []),
    ...(folder.ignored.length > 0 ? [`not needed  ${some(folder.ignored)}`] : []),
    ...(parts.difference.unexpected.length > 0 ? [`unknown     ${some(parts.difference.unexpected)}`] : []),
    ...(wrong.length > 0
      ? ['', 'missing or wrong:', ...wrong.slice(0, 20).map((line) => `  ${line}`), ...more(wrong.length - 20)]
      : ['', 'nothing is missing']),
  ].join('\n');
}

const some = (names: readonly string[]): string =>
  `${names.slice(0, 4).join(', ')}${names.length > 4 ? ` and ${names.length - 4} more` : ''}`;
const more = (count: number): string[] => (count > 0 ? [`  and ${count} more`] : []);
