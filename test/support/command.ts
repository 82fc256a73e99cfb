import { Readable } from 'node:stream';
import { run } from '../../lib/cli/main';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly signal?: AbortSignal;
  /** What is piped in, or typed on a terminal. */
  readonly input?: Iterable<string | Uint8Array> | AsyncIterable<string | Uint8Array>;
  /** Bits of a color of the terminal it writes to; default: it writes to none. */
  readonly colors?: number;
  /** Told of all that was written so far, each time. */
  readonly onWrite?: (out: string, err: string) => void;
}

/** Runs `mglmm` with these arguments in this process. */
export async function mglmm(args: readonly string[], { signal, input, colors, onWrite }: RunOptions = {}): Promise<Ran> {
  let [out, err] = ['', ''];
  const stream = (add: (text: string) => void) => ({
    write: (text: string) => {
      add(text);
      onWrite?.(out, err);
    },
    ...(colors === undefined ? {} : { isTTY: true, columns: 80, getColorDepth: () => colors }),
  });
  const terminal = {
    out: stream((text) => {
      out += text;
    }),
    err: stream((text) => {
      err += text;
    }),
    in: input && Readable.from(input, { objectMode: false }),
  };
  const code = await run(args, terminal, signal ?? new AbortController().signal);
  return { code, out, err };
}
