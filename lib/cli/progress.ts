import { formatBytes, type Stream } from './terminal';

/** Milliseconds between two drawings of the bar. */
const REDRAW_MS = 100;
/** Plain lines, where there is no terminal: one each tenth, at most one a second. */
const STEPS = 10;
const LINE_MS = 1000;
const MAX_NOTE = 40;

/** Shows how far `run` is while it lasts. */
export async function watched<Result>(
  stream: Stream,
  label: string,
  run: (onProgress: (at: { name: string; bytes: number; totalBytes: number }) => void) => Promise<Result>,
): Promise<Result> {
  const progress = new Progress(stream, label);
  try {
    return await run(({ name, bytes, totalBytes }) => progress.update(bytes, totalBytes, name));
  } finally {
    progress.clear();
  }
}

/** How far a long command is, in bytes or what `format` makes of numbers: a bar on a terminal, now and then a line elsewhere. */
export class Progress {
  readonly #stream: Stream;
  readonly #label: string;
  readonly #format: (amount: number) => string;
  #drawnMs = performance.now();
  #drawn = false;
  #step = 0;

  constructor(stream: Stream, label: string, format = formatBytes) {
    this.#stream = stream;
    this.#label = label;
    this.#format = format;
  }

  /** @param note - what is worked on. */
  update(done: number, total: number, note = ''): void {
    const share = total > 0 ? Math.min(1, done / total) : 1;
    const figures = `${Math.floor(100 * share)} %  ${this.#format(done)} of ${this.#format(total)}`;
    if (this.#stream.isTTY) {
      const now = performance.now();
      if (share < 1 && now - this.#drawnMs < REDRAW_MS) return;
      [this.#drawnMs, this.#drawn] = [now, true];
      const short = note.length > MAX_NOTE ? `…${note.slice(1 - MAX_NOTE)}` : note;
      const room = Math.max(0, (this.#stream.columns || 80) - this.#label.length - figures.length - short.length - 8);
      const bar = '█'.repeat(Math.round(share * Math.min(room, 30))).padEnd(Math.min(room, 30), '░');
      this.#stream.write(`\r\x1b[K${this.#label}  ${bar}  ${figures}  ${short}`);
    } else {
      const [step, now] = [Math.floor(STEPS * share), performance.now()];
      if (step <= this.#step || now - this.#drawnMs < LINE_MS) return;
      [this.#step, this.#drawnMs] = [step, now];
      this.#stream.write(`${this.#label}  ${figures}\n`);
    }
  }

  /** Leaves the terminal as a command found it. */
  clear(): void {
    if (this.#drawn) this.#stream.write('\r\x1b[K');
    this.#drawn = false;
  }
}
