/** `mglmm explore IMAGE`: the scene, its objects, their parts, as one tree. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Command } from 'commander';
import { maskColor } from '../image/colors';
import type { RgbImage } from '../image/decode';
import type { EventStream } from '../inference/event_stream';
import type { ExploredNode } from '../inference/explore';
import { defaultOut, inFolder, maskRecord, type OutputOptions, openFolder, planFolders, writeOverlay } from './answer_files';
import { oneImage, readImage } from './image_inputs';
import { type AnsweringOptions, answeringOptions, answersOf, type ModelOptions, modelOptions, openModel } from './model_options';
import { number } from './numbers';
import { printable, type Styles, stylesOf } from './styles';
import type { Context } from './terminal';

interface ExploreCommandOptions extends ModelOptions, AnsweringOptions, OutputOptions {
  readonly depth?: number;
  readonly maxPhrases?: number;
  readonly json?: boolean;
}

export function define(command: Command, context: Context): void {
  command
    .argument('<image>', 'file of a picture, or - for one that is piped in')
    .option('--depth <levels>', '1: the objects of the scene; 2, the default: their parts too; and so on', number({ whole: true, from: 1 }))
    .option('--max-phrases <count>', 'of an answer that are looked into; default 8', number({ whole: true, from: 0 }))
    .option('--out <dir>', `folder of what is written; default a new one in ${defaultOut}`)
    .option('--overwrite', 'replace what is there')
    .option('--json', 'a line of JSON, and no files unless --out says where');
  answeringOptions(modelOptions(command)).action(async (path: string, options: ExploreCommandOptions) => {
    const { terminal, signal } = context;
    const input = await oneImage(path);
    const [folder] = options.json && options.out === undefined ? [] : await planFolders([input], options);
    const image = await readImage(input, context);
    await using model = await openModel(options, context);
    const { depth, maxPhrases, json } = options;
    const stream = model.exploreStream(image, { ...answersOf(options), depth, maxPhrases, signal });
    const root = await watched(stream, context);
    const levels = levelsOf(root);
    const record = { image: path, width: image.width, height: image.height, ...recordOf(root) };
    if (folder !== undefined) await inFolder(folder, () => writeLevels(folder, image, levels, record));
    if (json) terminal.out.write(`${JSON.stringify(record)}\n`);
    else {
      terminal.out.write(`${[...linesOf(root, levels, stylesOf(terminal.out))].join('\n')}\n`);
      const [things, depth] = [levels.flat().length, levels.length];
      const found = `${things} ${things === 1 ? 'thing' : 'things'} on ${depth} ${depth === 1 ? 'level' : 'levels'}`;
      terminal.err.write(stylesOf(terminal.err).dim(`${found}; written to ${folder}\n`));
    }
  });
}

/** The root of all that is found; on a terminal with a line that says how far that is. */
async function watched(stream: EventStream<ExploredNode, ExploredNode>, { terminal: { err } }: Context): Promise<ExploredNode> {
  let count = 0;
  try {
    for await (const { phrase } of stream) if (err.isTTY) err.write(`\r\x1b[K${count++} found  ${printable(phrase)}`);
    return await stream.final();
  } finally {
    if (err.isTTY) err.write('\r\x1b[K');
  }
}

/** Objects, their parts, parts of those. */
function levelsOf(root: ExploredNode): ExploredNode[][] {
  const levels: ExploredNode[][] = [];
  for (let level = root.children; level.length > 0; level = level.flatMap(({ children }) => children)) levels.push(level);
  return levels;
}

function recordOf({ phrase, mask, box, score, text, children }: ExploredNode): object {
  return { phrase, box, score, ...maskRecord(mask), text, children: children.map(recordOf) };
}

async function writeLevels(folder: string, image: RgbImage, levels: readonly ExploredNode[][], record: object): Promise<void> {
  await openFolder(folder);
  for (const [i, level] of levels.entries()) {
    const masks = level.map(({ mask, phrase }, index) => ({ mask, phrase, color: maskColor(index) }));
    await writeOverlay(join(folder, `level_${i + 1}.png`), image, masks);
  }
  await writeFile(join(folder, 'explore.json'), `${JSON.stringify(record, undefined, 2)}\n`);
}

/** What was said about the whole, then a line for each thing, its color that of its mask in the picture of its level. */
function* linesOf(root: ExploredNode, levels: readonly ExploredNode[][], styles: Styles): Generator<string> {
  if (root.text !== '') yield printable(root.text);
  function* below(node: ExploredNode, depth: number, indent: string): Generator<string> {
    for (const [i, child] of node.children.entries()) {
      const isLast = i === node.children.length - 1;
      const color = maskColor((levels[depth] as ExploredNode[]).indexOf(child));
      const name = styles.phrase(printable(child.phrase) || '(no phrase)', color);
      yield `${indent}${isLast ? '└─' : '├─'} ${name}  ${child.score.toFixed(2)}`;
      yield* below(child, depth + 1, `${indent}${isLast ? '   ' : '│  '}`);
    }
  }
  yield* below(root, 0, '');
}
