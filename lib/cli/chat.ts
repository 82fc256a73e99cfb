/** `mglmm chat IMAGE`: questions about a picture, each behind those before it. */
import { createInterface, type Interface } from 'node:readline';
import { Writable } from 'node:stream';
import type { Command } from 'commander';
import { onAbort } from '../abort';
import { AbortedError, ArgumentError, MglmmError } from '../errors';
import type { RgbImage } from '../image/decode';
import type { Answer } from '../inference/answer';
import type { Chat } from '../inference/chat';
import type { Mglmm } from '../inference/mglmm';
import { answerRecord, planFolders, writeAnswer } from './answer_files';
import { AnswerPrinter, printFigures } from './answer_printer';
import { type ImageInput, oneImage, readImage } from './image_inputs';
import { type AnsweringOptions, answeringOptions, answersOf, type ModelOptions, modelOptions, openModel } from './model_options';
import { stylesOf } from './styles';
import type { Context } from './terminal';
import { UsageError } from './usage';

interface ChatCommandOptions extends ModelOptions, AnsweringOptions {}

const help = `/image PATH   talk about another picture, from the beginning
/new          begin again with this picture
/save [DIR]   write the last answer: the picture with its masks, each mask, answer.json
/quit         end; so does Ctrl-D, and Ctrl-C when no answer is being made
`;

export function define(command: Command, context: Context): void {
  command.argument('<image>', 'file of a picture').addHelpText('after', `\nWhile it runs:\n${help.replace(/^/gm, '  ').trimEnd()}`);
  answeringOptions(modelOptions(command)).action(async (path: string, options: ChatCommandOptions) => {
    const { terminal, signal } = context;
    if (!terminal.in) throw new UsageError('chat reads questions from the standard input, and there is none');
    const picture = await openPicture(path, context);
    await using model = await openModel(options, context);
    await using session = new Session(model, options, picture, context);
    const isTyped = Boolean(terminal.in.isTTY && terminal.err.isTTY);
    const lines = createInterface({
      input: terminal.in,
      output: isTyped && terminal.err instanceof Writable ? terminal.err : undefined,
      terminal: isTyped,
      prompt: stylesOf(terminal.err).bold('> '),
    });
    await session.talk(lines);
    if (signal.aborted) throw new AbortedError('interrupted', { cause: signal.reason });
  });
}

interface Picture {
  readonly input: ImageInput;
  readonly image: RgbImage;
}

async function openPicture(path: string, context: Context): Promise<Picture> {
  const input = await oneImage(path);
  if (input.path === '-') throw new UsageError('chat reads questions from the standard input, expected a file of a picture');
  return { input, image: await readImage(input, context) };
}

class Session implements AsyncDisposable {
  readonly #model: Mglmm;
  readonly #options: ChatCommandOptions;
  readonly #context: Context;
  #picture: Picture;
  #chat: Chat;
  #last?: { readonly prompt: string; readonly answer: Answer; readonly printer: AnswerPrinter };
  /** Of the answer that is being made. */
  #answering?: AbortController;

  constructor(model: Mglmm, options: ChatCommandOptions, picture: Picture, context: Context) {
    this.#model = model;
    this.#options = options;
    this.#picture = picture;
    this.#context = context;
    this.#chat = this.#begin();
  }

  /** Until the lines end, or one says so. */
  async talk(lines: Interface): Promise<void> {
    const { signal } = this.#context;
    const close = () => lines.close();
    lines.on('SIGINT', () => {
      if (this.#answering) return this.#answering.abort();
      this.#say('\n');
      close();
    });
    const forget = onAbort(signal, close);
    this.#say(`${this.#picture.input.path}, ${this.#picture.image.width} x ${this.#picture.image.height}; /help says what can be done\n`);
    try {
      lines.prompt();
      for await (const line of lines) {
        const text = line.trim();
        if (text === '/quit' || text === '/exit') return;
        if (text !== '') await this.#unlessFailed(() => (text.startsWith('/') ? this.#command(text) : this.#ask(text)));
        if (signal.aborted) return;
        lines.prompt();
      }
    } finally {
      forget();
      close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#chat.dispose();
  }

  #begin(): Chat {
    this.#last = undefined;
    return this.#model.chat({ image: this.#picture.image, ...answersOf(this.#options) });
  }

  /** To people, and not into what is piped on. */
  #say(text: string): void {
    const { err } = this.#context.terminal;
    if (err.isTTY) err.write(stylesOf(err).dim(text));
  }

  async #unlessFailed(work: () => Promise<void>): Promise<void> {
    const { signal, terminal } = this.#context;
    try {
      await work();
    } catch (error) {
      if (signal.aborted || !(error instanceof MglmmError)) throw error;
      terminal.err.write(error instanceof AbortedError ? '(stopped)\n' : `${error.message}\n`);
    }
  }

  async #ask(prompt: string): Promise<void> {
    const { terminal, signal } = this.#context;
    this.#answering = new AbortController();
    const printer = new AnswerPrinter(terminal.out);
    const stream = this.#chat.stream(prompt, { signal: AbortSignal.any([signal, this.#answering.signal]) });
    try {
      for await (const event of stream) printer.show(event);
    } finally {
      this.#answering = undefined;
      printer.end();
    }
    const answer = await stream.final();
    this.#last = { prompt, answer, printer };
    printFigures(terminal, answer, (segment, index) => printer.colorOf(segment, index), '');
  }

  async #command(text: string): Promise<void> {
    const [name, ...words] = text.split(/\s+/);
    const rest = words.join(' ');
    if (name === '/help') this.#context.terminal.err.write(help);
    else if (name === '/image') await this.#show(rest);
    else if (name === '/save') await this.#save(rest);
    else if (name === '/new') await this.#again();
    else throw new ArgumentError(`${name} is no command; /help says what can be done`);
  }

  async #show(path: string): Promise<void> {
    if (path === '') throw new ArgumentError('/image wants the path of a picture');
    this.#picture = await openPicture(path, this.#context);
    await this.#again();
  }

  async #again(): Promise<void> {
    await this.#chat.dispose();
    this.#chat = this.#begin();
    this.#say(`${this.#picture.input.path}, ${this.#picture.image.width} x ${this.#picture.image.height}\n`);
  }

  async #save(out: string): Promise<void> {
    if (!this.#last) throw new ArgumentError('/save writes the last answer, and there is none');
    const { prompt, answer, printer } = this.#last;
    const { input, image } = this.#picture;
    const [folder] = (await planFolders([input], { out: out || undefined })) as [string];
    const record = answerRecord(input.path, prompt, image, answer, true);
    await writeAnswer(folder, image, answer, record, (segment, index) => printer.colorOf(segment, index));
    this.#context.terminal.err.write(`written to ${folder}\n`);
  }
}
