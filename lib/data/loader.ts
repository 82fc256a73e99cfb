/** Batches of samples with their pictures and masks decoded: what a training loop asks for. */
import type { RgbImage } from '../image/decode';
import type { Sample } from './sample';

export interface Batch {
  readonly samples: readonly Sample[];
  /** Of each sample, at its own size. */
  readonly images: readonly RgbImage[];
  /** Of each sample, in the order of its `[SEG]`: `[height, width]` of its picture, 0 or 1. */
  readonly masks: readonly (readonly Uint8Array[])[];
  /** Bad samples in whose place others stand. */
  readonly skipped: number;
  readonly index: number;
}

/** Batch `index` is the same whenever and in whatever order it is asked for, so a run goes on from a number alone. */
export interface BatchSource {
  /**
   * @param index - from 0; it runs on from one epoch into the next.
   * @throws SampleError for a bad sample, where such are not skipped; AbortedError when `signal` fires.
   */
  batch(index: number, options?: { signal?: AbortSignal }): Promise<Batch>;
  /** Batches of an epoch. */
  readonly length: number;
  close(): Promise<void>;
}
