import type { Command } from 'commander';
import type { Context } from './terminal';

/** What the file of a command exports: it adds arguments, options and an action to `command`. */
export interface CommandFile {
  define(command: Command, context: Context): void;
}

interface Entry {
  readonly summary: string;
  /** Reads the file: only that of the command which is run. */
  readonly file: () => CommandFile;
}

/** One line a command; its code is in the file of that name. */
export const commands: Readonly<Record<string, Entry>> = {
  answer: { summary: 'ask about pictures: text, and the masks of its phrases', file: () => require('./answer') as CommandFile },
  chat: { summary: 'talk about a picture', file: () => require('./chat') as CommandFile },
  convert: { summary: 'write a model as one folder: safetensors, tokenizer, manifest', file: () => require('./convert') as CommandFile },
  data: { summary: 'check files of samples, and draw them', file: () => require('./data') as CommandFile },
  doctor: {
    summary: 'say what this machine has, what is missing, and the line that fixes it',
    file: () => require('./doctor') as CommandFile,
  },
  eval: { summary: 'score a model on samples, by what it answers', file: () => require('./eval') as CommandFile },
  explore: { summary: 'the things in a picture and their parts, as a tree', file: () => require('./explore') as CommandFile },
  inspect: { summary: 'say what a folder of weights holds, and what it lacks', file: () => require('./inspect') as CommandFile },
  merge: { summary: 'take LoRA matrices up into the weights', file: () => require('./merge') as CommandFile },
  scenes: { summary: 'draw made-up scenes, with masks and texts of everything in them', file: () => require('./scenes') as CommandFile },
  segment: { summary: 'masks for points and boxes (Segment Anything)', file: () => require('./segment') as CommandFile },
  train: { summary: 'train a model as a file says, or go on with it', file: () => require('./train') as CommandFile },
  verify: { summary: 'check hashes, shapes and values of a folder', file: () => require('./verify') as CommandFile },
};
