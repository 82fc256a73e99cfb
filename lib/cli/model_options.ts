/** What all commands that ask a model share: how it is opened, and how it answers. */
import { type Command, Option } from 'commander';
import { defaultModel } from '../inference/default_model';
import type { LoadOptions, ModelDtype } from '../inference/load_options';
import { Mglmm } from '../inference/mglmm';
import { type AnswerOptions, optionChecks } from '../inference/request';
import type { Device } from '../native';
import { deviceNumber } from '../tensor/device';
import { type TemplateName, templates } from '../text/template';
import { fitting, number } from './numbers';
import { Progress } from './progress';
import { stylesOf } from './styles';
import type { Context } from './terminal';
import { refuseTyped } from './usage';

export interface ModelOptions {
  readonly model: string;
  readonly clip?: string;
  readonly sam?: string;
  readonly tokenizer?: string;
  readonly template?: TemplateName;
  readonly device?: 'auto' | Device;
  readonly dtype?: ModelDtype;
}

export function modelOptions(command: Command): Command {
  return command
    .addOption(new Option('--model <dir>', 'folder of the model').default(defaultModel, 'a small one of made-up scenes'))
    .option('--clip <dir>', 'folder or file of its CLIP tower, where it is elsewhere')
    .option('--sam <file>', 'file of Segment Anything, where the model has none')
    .option('--tokenizer <dir>', 'folder of its tokenizer, where it is elsewhere')
    .addOption(
      new Option('--template <name>', 'how conversations are written; default as the model was trained').choices(Object.keys(templates)),
    )
    .option('--device <device>', 'cpu, cuda, cuda:1 ...; default auto: a GPU where one can be used', deviceOf)
    .addOption(new Option('--dtype <dtype>', 'of the weights in memory; default bf16').choices(['f32', 'bf16', 'f16', 'int8', 'int4']));
}

function deviceOf(text: string): string {
  try {
    if (text !== 'auto') deviceNumber(text as Device);
    return text;
  } catch (cause) {
    return refuseTyped(cause);
  }
}

export interface AnsweringOptions {
  readonly maxNewTokens?: number;
  readonly temperature?: number;
  readonly topK?: number;
  readonly topP?: number;
  readonly repetitionPenalty?: number;
  readonly seed?: number;
  readonly stop?: string[];
  readonly system?: string;
  readonly constrained?: boolean;
  readonly forceSegmentation?: boolean;
  readonly adapter?: string;
}

export function answeringOptions(command: Command): Command {
  return command
    .option('--max-new-tokens <count>', 'end of an answer at the latest; default 512', number({ whole: true, from: 1 }))
    .option('--temperature <number>', '0, the default: always the likeliest token; else from 1e-5 to 1e5', (text: string) =>
      fitting(optionChecks.temperature, text.trim() === '' ? undefined : Number(text)),
    )
    .option('--top-k <count>', 'choose among this many; default 0: all', number({ whole: true, from: 0 }))
    .option('--top-p <share>', 'choose among the likeliest that sum to this; default 1', number({ above: 0, to: 1 }))
    .option('--repetition-penalty <number>', 'above 1: say less again; default 1', number({ above: 0 }))
    .option('--seed <number>', 'of the random numbers; default 0', number({ whole: true, from: 0 }))
    .option('--stop <text>', 'end the answer where this would come; may be given again', (text: string, before: string[] = []) => [
      ...before,
      fitting(optionChecks.stop, text),
    ])
    .option('--system <text>', 'instead of the system text the model was trained with')
    .option('--constrained', 'keep to the form of phrases and masks')
    .option('--force-segmentation', 'at least one mask')
    .option('--adapter <dir>', 'folder of an adapter of the model, which answers');
}

/** Those of a command's options that are about answers. */
export function answersOf(options: AnsweringOptions): AnswerOptions {
  const { maxNewTokens, temperature, topK, topP, repetitionPenalty, seed, stop, system, constrained, forceSegmentation, adapter } = options;
  return { maxNewTokens, temperature, topK, topP, repetitionPenalty, seed, stop, system, constrained, forceSegmentation, adapter };
}

/** Says that no model was named, and what the one that is taken then does and knows. */
export function tellDefault(folder: string, what: string, { terminal: { err } }: Context): void {
  if (folder === defaultModel) err.write(stylesOf(err).dim(`mglmm-tiny ${what}; --model names another\n`));
}

/** Opens the model and its adapter, and shows on the error stream how far that is. */
export async function openModel(options: ModelOptions & Pick<AnsweringOptions, 'adapter'>, context: Context): Promise<Mglmm> {
  const { model: folder, clip, sam, tokenizer, template, device, dtype, adapter } = options;
  tellDefault(folder, 'answers, which knows made-up scenes and nothing else', context);
  const load = (watched: Watched) => Mglmm.load(folder, { clip, sam, tokenizer, template, device, dtype, ...watched });
  const model = await watchLoading(context, load);
  try {
    // Its name is its folder.
    if (adapter !== undefined) await model.loadAdapter(adapter, adapter, { signal: context.signal });
    return model;
  } catch (error) {
    await model.dispose();
    throw error;
  }
}

export type Watched = Pick<LoadOptions, 'onProgress' | 'logger' | 'signal'>;

export async function watchLoading<Opened>({ terminal, signal }: Context, open: (watched: Watched) => Promise<Opened>): Promise<Opened> {
  const progress = new Progress(terminal.err, 'loading');
  const warn = (message: string) => {
    progress.clear();
    terminal.err.write(`mglmm: ${message}\n`);
  };
  try {
    return await open({
      signal,
      logger: { info: () => {}, warn },
      onProgress: ({ phase, loaded, total, file }) => {
        if (phase === 'weights') progress.update(loaded, total, file);
      },
    });
  } finally {
    progress.clear();
  }
}
