/** `mglmm answer IMAGE... "PROMPT"`: what a model says about pictures, and where in them it is. */
import type { Command } from 'commander';
import { AbortedError, ArgumentError, MglmmError } from '../errors';
import type { RgbImage } from '../image/decode';
import type { Answer } from '../inference/answer';
import type { Mglmm } from '../inference/mglmm';
import { answerRecord, defaultOut, type OutputOptions, planFolders, writeAnswer } from './answer_files';
import { AnswerPrinter, printAnswer, printFigures } from './answer_printer';
import { type ImageInput, listImages, readImage } from './image_inputs';
import { type AnsweringOptions, answeringOptions, answersOf, type ModelOptions, modelOptions, openModel } from './model_options';
import { number } from './numbers';
import { stylesOf } from './styles';
import type { Context } from './terminal';

interface AnswerCommandOptions extends ModelOptions, AnsweringOptions, OutputOptions {
  readonly json?: boolean;
  readonly batch?: number;
}

/** A picture that is asked about. */
interface Asked {
  readonly input: ImageInput;
  /** Where its answer is written; undefined: nowhere. */
  readonly folder?: string;
}

interface Read extends Asked {
  readonly image: RgbImage;
  readonly readMs: number;
}

export function define(command: Command, context: Context): void {
  command
    .usage('[options] <image...> <prompt>')
    .argument('<image...>', 'pictures: files, folders, or - for one that is piped in; then what is asked about each')
    .option('--out <dir>', `folder of what is written; default a new one in ${defaultOut}`)
    .option('--overwrite', 'replace an answer that is there')
    .option('--json', 'a line of JSON for each picture, and no files unless --out says where')
    .option('--batch <count>', 'pictures that are answered together, without streaming; default 1', number({ whole: true, from: 1 }));
  answeringOptions(modelOptions(command)).action(async (words: string[], options: AnswerCommandOptions) => {
    const [paths, prompt] = [words.slice(0, -1), words.at(-1) as string];
    if (paths.length === 0) command.error("error: missing required argument 'prompt'");
    if (prompt.trim() === '') command.error('error: the prompt is empty');
    const inputs = await listImages(paths);
    const folders = options.json && options.out === undefined ? [] : await planFolders(inputs, options);
    const asked = inputs.map((input, i) => ({ input, folder: folders[i] }));
    await using model = await openModel(options, context);
    await new Answering(model, prompt, options, asked.length > 1, context).run(asked);
  });
}

class Answering {
  readonly #model: Mglmm;
  readonly #prompt: string;
  readonly #options: AnswerCommandOptions;
  readonly #several: boolean;
  readonly #context: Context;
  #failed = 0;

  constructor(model: Mglmm, prompt: string, options: AnswerCommandOptions, several: boolean, context: Context) {
    this.#model = model;
    this.#prompt = prompt;
    this.#options = options;
    this.#several = several;
    this.#context = context;
  }

  /** @throws MglmmError at the end when there is no answer for some of them. */
  async run(asked: readonly Asked[]): Promise<void> {
    const { batch = 1 } = this.#options;
    for (let begin = 0; begin < asked.length; begin += batch) {
      const readings = await Promise.all(asked.slice(begin, begin + batch).map((one) => this.#unlessFailed(one, () => this.#read(one))));
      const read = readings.filter((one) => one !== undefined);
      if (batch > 1) await this.#answerTogether(read);
      else for (const one of read) await this.#unlessFailed(one, () => this.#answer(one));
    }
    if (this.#failed > 0 && this.#several)
      throw new MglmmError('MGLMM_UNANSWERED', `${this.#failed} of ${asked.length} pictures have no answer`);
  }

  async #read(asked: Asked): Promise<Read> {
    const beganMs = performance.now();
    const image = await readImage(asked.input, this.#context);
    return { ...asked, image, readMs: performance.now() - beganMs };
  }

  async #answer(read: Read): Promise<void> {
    const { signal, terminal } = this.#context;
    const stream = this.#model.stream({ image: read.image, prompt: this.#prompt, ...answersOf(this.#options), signal });
    const printer = this.#options.json ? undefined : new AnswerPrinter(terminal.out);
    if (printer) this.#head(read);
    try {
      for await (const event of stream) printer?.show(event);
    } finally {
      printer?.end();
    }
    await this.#finish(read, await stream.final(), printer ?? new AnswerPrinter(terminal.out));
  }

  async #answerTogether(read: readonly Read[]): Promise<void> {
    const { signal, terminal } = this.#context;
    if (read.length === 0) return;
    const questions = read.map(({ image }) => ({ image, prompt: this.#prompt }));
    const answers = await this.#model.answerAll(questions, { ...answersOf(this.#options), signal });
    for (const [i, one] of read.entries()) {
      const answer = answers[i] as Answer;
      if (!this.#options.json) this.#head(one);
      const printer = this.#options.json ? new AnswerPrinter(terminal.out) : printAnswer(answer, terminal.out);
      await this.#unlessFailed(one, () => this.#finish(one, answer, printer));
    }
  }

  /** Over the answer, where there are several. */
  #head({ input }: Read): void {
    const { out } = this.#context.terminal;
    if (this.#several) out.write(`${stylesOf(out).bold(input.path)}\n`);
  }

  async #finish({ input, folder, image, readMs }: Read, plain: Answer, printer: AnswerPrinter): Promise<void> {
    const answer = fromTheFile(plain, readMs);
    const record = answerRecord(input.path, this.#prompt, image, answer, folder !== undefined);
    const colorOf = (...args: Parameters<AnswerPrinter['colorOf']>) => printer.colorOf(...args);
    if (folder !== undefined) await writeAnswer(folder, image, answer, record, colorOf);
    if (this.#options.json) this.#context.terminal.out.write(`${JSON.stringify(record)}\n`);
    else {
      printFigures(this.#context.terminal, answer, colorOf, folder === undefined ? '' : `; written to ${folder}`);
      if (this.#several) this.#context.terminal.out.write('\n');
    }
  }

  /** One picture that cannot be answered does not keep the others from it. */
  async #unlessFailed<Result>({ input }: Asked, work: () => Promise<Result>): Promise<Result | undefined> {
    try {
      return await work();
    } catch (error) {
      const isHarmless = error instanceof MglmmError && !(error instanceof AbortedError) && !(error instanceof ArgumentError);
      if (!isHarmless || this.#context.signal.aborted) throw error;
      this.#failed++;
      const { code, message } = error;
      if (this.#options.json) {
        const record = { image: input.path, prompt: this.#prompt, error: { code, message } };
        this.#context.terminal.out.write(`${JSON.stringify(record)}\n`);
      }
      if (!this.#several) throw error;
      this.#context.terminal.err.write(`mglmm: ${input.path}: ${message}\n`);
      return undefined;
    }
  }
}

/** Times from when the file was begun to be read, which the model does not see. */
function fromTheFile(answer: Answer, readMs: number): Answer {
  const { imageMs, firstTokenMs, totalMs } = answer.timings;
  const timings = { ...answer.timings, imageMs: imageMs + readMs, firstTokenMs: firstTokenMs + readMs, totalMs: totalMs + readMs };
  return { ...answer, timings };
}
