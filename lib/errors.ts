/**
 * Typed errors. Every error of what is given at run time (files that are read, shapes, values, options, devices) is an
 * {@link MglmmError} with a `code` that programs compare and a message that says op, argument, got, expected. What the types forbid
 * may be a TypeError, a disk that is full Node's own error; what a callback throws comes through as it is. The native side sends
 * `code` and message; {@link typed} makes the class.
 */
export class MglmmError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
    this.code = code;
  }
}

/** Sizes that do not fit. */
export class ShapeError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_SHAPE', message, options);
  }
}

/** A dtype an op does not take. */
export class DtypeError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_DTYPE', message, options);
  }
}

/** An argument of the wrong kind or outside its range. */
export class ArgumentError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_ARGUMENT', message, options);
  }
}

/** Tensors on different devices, or a device that is not there. */
export class DeviceError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_DEVICE', message, options);
  }
}

/** A tensor used after it was disposed; in debug mode the message says where it was made. */
export class DisposedError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_DISPOSED', message, options);
  }
}

/** The device has no memory left; the message has the figures. */
export class OutOfMemoryError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_OUT_OF_MEMORY', message, options);
  }
}

/** The work was given up because its `AbortSignal` fired; `cause` is the signal's reason where it is known. */
export class AbortedError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_ABORTED', message, options);
  }
}

/** A gradient that does not exist: an op without one, a graph already released, a loss that is no scalar. */
export class GradientError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_GRADIENT', message, options);
  }
}

/** A picture that cannot be read: no such file, cut off, of a kind that is not read, or with too many pixels. */
export class ImageError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_IMAGE', message, options);
  }
}

/** The native addon or a backend could not be loaded, or failed inside a kernel. */
export class KernelError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_KERNEL', message, options);
  }
}

/** Which tensors do not fit what takes them; empty where the error is about something else. */
export interface CheckpointDifference {
  readonly missing?: readonly string[];
  readonly unexpected?: readonly string[];
  readonly misshapen?: readonly string[];
}

/** A checkpoint that cannot be used. This class itself: its tensors do not fit the module, `missing` and the others say how. */
export class CheckpointError extends MglmmError {
  readonly missing: readonly string[];
  readonly unexpected: readonly string[];
  readonly misshapen: readonly string[];

  constructor(message: string, options: ErrorOptions & CheckpointDifference & { code?: string } = {}) {
    super(options.code ?? 'MGLMM_CHECKPOINT', message, options);
    this.missing = options.missing ?? [];
    this.unexpected = options.unexpected ?? [];
    this.misshapen = options.misshapen ?? [];
  }
}

/** No checkpoint at a path, or none that can be told apart from others there. */
export class CheckpointNotFoundError extends CheckpointError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, code: 'MGLMM_CHECKPOINT_NOT_FOUND' });
  }
}

/** A file of weights that is damaged, or in a form this package does not read. */
export class CheckpointFormatError extends CheckpointError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, code: 'MGLMM_CHECKPOINT_FORMAT' });
  }
}

/** An index of shards that disagrees with the shards, or points out of its folder. */
export class CheckpointIndexError extends CheckpointError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, code: 'MGLMM_CHECKPOINT_INDEX' });
  }
}

/** A pickle that asks for code to be run. Nothing of it was. */
export class CheckpointUnsafeError extends CheckpointError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, code: 'MGLMM_CHECKPOINT_UNSAFE' });
  }
}

/** Weights that are NaN or infinite. */
export class CheckpointNotFiniteError extends CheckpointError {
  constructor(message: string, options?: ErrorOptions) {
    super(message, { ...options, code: 'MGLMM_CHECKPOINT_NOT_FINITE' });
  }
}

/** Files of a tokenizer that are missing, damaged, contradict each other, or are of a kind that is not read. */
export class TokenizerError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_TOKENIZER', message, options);
  }
}

/** A sample that a model cannot be trained on; the message names it. */
export class TrainingSampleError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_TRAINING_SAMPLE', message, options);
  }
}

/** A training run that cannot begin or go on: its configuration, its snapshots. */
export class TrainingError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_TRAINING', message, options);
  }
}

/** A text, a prompt or a conversation longer than what is taken. */
export class LengthError extends MglmmError {
  constructor(message: string, options?: ErrorOptions) {
    super('MGLMM_LENGTH', message, options);
  }
}

/** A file of samples that cannot be read or written. */
export class DataError extends MglmmError {
  constructor(message: string, options?: ErrorOptions & { code?: string }) {
    super(options?.code ?? 'MGLMM_DATA', message, options);
  }
}

/**
 * What is wrong with a sample.
 * - `json`: the line is no JSON, or no UTF-8.
 * - `record`: a field is missing, unknown or of another kind.
 * - `tags`: an answer is not in the SegCap format, or a text holds a name that means something in a prompt.
 * - `seg_count`: as many masks as `[SEG]` are wanted.
 * - `rle`: a mask that is malformed.
 * - `empty_mask`: a mask without a pixel.
 * - `mask_size`: a mask of another size than the picture.
 * - `no_image`: there are masks, and no picture.
 * - `missing_image`: no such file.
 * - `image`: the picture is damaged, of a kind that is not read, or too large.
 */
export const sampleProblems = [
  'json',
  'record',
  'tags',
  'seg_count',
  'rle',
  'empty_mask',
  'mask_size',
  'no_image',
  'missing_image',
  'image',
] as const;
export type SampleProblem = (typeof sampleProblems)[number];

/** One thing that is wrong, and where in the record: `masks[2].counts`. */
export interface SampleFault {
  readonly problem: SampleProblem;
  /** Empty where it is the whole record. */
  readonly field: string;
  readonly reason: string;
}

/** A sample that cannot be trained on: which, and why. */
export class SampleError extends DataError {
  /** Path of the file, or name of the data set. */
  readonly file: string;
  /** From 1. */
  readonly line: number;
  /** Everything that is wrong and was looked for; the message has the first. */
  readonly faults: readonly [SampleFault, ...SampleFault[]];

  constructor(file: string, line: number, faults: readonly [SampleFault, ...SampleFault[]], options?: ErrorOptions) {
    const { field, reason } = faults[0];
    super(`${file}:${line}: ${field ? `${field}: ` : ''}${reason}`, { ...options, code: 'MGLMM_SAMPLE' });
    this.file = file;
    this.line = line;
    this.faults = faults;
  }

  get problem(): SampleProblem {
    return this.faults[0].problem;
  }

  get field(): string {
    return this.faults[0].field;
  }
}

const classes: Record<string, new (message: string, options?: ErrorOptions) => MglmmError> = {
  MGLMM_SHAPE: ShapeError,
  MGLMM_DTYPE: DtypeError,
  MGLMM_ARGUMENT: ArgumentError,
  MGLMM_DEVICE: DeviceError,
  MGLMM_DISPOSED: DisposedError,
  MGLMM_OUT_OF_MEMORY: OutOfMemoryError,
  MGLMM_ABORTED: AbortedError,
  MGLMM_KERNEL: KernelError,
};

/** The typed error of what native code threw; anything else comes back as it is. */
export function typed(error: unknown): unknown {
  if (error instanceof MglmmError || typeof error !== 'object' || error === null) return error;
  const { code, message } = error as { code?: unknown; message?: unknown };
  const Class = typeof code === 'string' ? classes[code] : undefined;
  return Class ? new Class(String(message)) : error;
}
