/** How a model is opened. */
import type { Device } from '../native';
import type { TemplateName } from '../text/template';

/** The weights' form in memory. `int8` and `int4`: the language model's linear layers so, the rest bf16. */
export type ModelDtype = 'f32' | 'bf16' | 'f16' | 'int8' | 'int4';

export interface ModelProgress {
  /** `open`: finding files and their names; `weights`: reading them; `ready`: all is there. */
  readonly phase: 'open' | 'weights' | 'ready';
  /** Bytes of files. */
  readonly loaded: number;
  readonly total: number;
  /** What is read now. */
  readonly file: string;
}

/** Such as `console` or a pino logger. */
export interface Logger {
  info(message: string): void;
  warn(message: string): void;
}

export interface LoadOptions {
  /** `auto`, the default, takes the first GPU where one can be used, else the CPU. */
  device?: 'auto' | Device;
  /** Default bf16; f32 for weights that are stored so and are smaller than 256 MiB. */
  dtype?: ModelDtype;
  /** Folder or file of the CLIP tower; default where config.json says, in the model's folder or beside it. */
  clip?: string;
  /** File of Segment Anything, for a model that has none in its folder. */
  sam?: string;
  /** Folder of the tokenizer; default the model's. */
  tokenizer?: string;
  /** How conversations are written; default that of the model's family. */
  template?: TemplateName;
  /** Of what is kept of images and prompts for later requests, least recently used first to go; default 1 GiB. */
  cacheBytes?: number;
  /** At most ten times a second. */
  onProgress?: (progress: ModelProgress) => void;
  /** Default: nothing is told. */
  logger?: Logger;
  signal?: AbortSignal;
}
