/** Where the lines of a file begin, so that any of them is read without those before it. */
import type { FileHandle } from 'node:fs/promises';
import { AbortedError } from '../errors';

export interface IndexOptions {
  readonly signal?: AbortSignal;
  readonly onProgress?: (at: { readonly bytes: number; readonly totalBytes: number }) => void;
}

const newline = 0x0a;
const chunkBytes = 1 << 18; // looked through before other JavaScript may run: well under a millisecond
const segmentLines = 1 << 16;

/** Offsets, eight bytes a line. */
export class Lines {
  readonly #segments: Float64Array[] = [];
  #count = 0;
  /** Bytes of the file when it was looked through. */
  #end = 0;

  private constructor() {}

  /** Looks a file through once. A last line needs no newline; what is empty behind the last newline is no line. */
  static async of(file: FileHandle, { signal, onProgress }: IndexOptions = {}): Promise<Lines> {
    const lines = new Lines();
    const totalBytes = (await file.stat()).size;
    const chunk = Buffer.allocUnsafe(chunkBytes);
    let begun = false;
    for (;;) {
      if (signal?.aborted) throw new AbortedError('reading a file of samples: aborted', { cause: signal.reason });
      const { bytesRead } = await file.read(chunk, 0, chunkBytes, lines.#end);
      if (bytesRead === 0) return lines;
      const read = chunk.subarray(0, bytesRead);
      for (let at = 0; at < bytesRead; ) {
        if (!begun) lines.#push(lines.#end + at);
        const end = read.indexOf(newline, at);
        begun = end < 0;
        at = begun ? bytesRead : end + 1;
      }
      lines.#end += bytesRead;
      onProgress?.({ bytes: lines.#end, totalBytes });
    }
  }

  get length(): number {
    return this.#count;
  }

  /** From and to, in bytes, the newline included. */
  range(index: number): readonly [begin: number, end: number] {
    return [this.#at(index), index + 1 < this.#count ? this.#at(index + 1) : this.#end];
  }

  #at(index: number): number {
    return this.#segments[Math.floor(index / segmentLines)]?.[index % segmentLines] as number;
  }

  #push(offset: number): void {
    if (this.#count % segmentLines === 0) this.#segments.push(new Float64Array(segmentLines));
    (this.#segments.at(-1) as Float64Array)[this.#count++ % segmentLines] = offset;
  }
}
