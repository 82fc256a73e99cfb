import type { Readable } from 'node:stream';

/** Where a command writes: results to `out`, all else to `err`, so that results can be piped. */
export interface Stream {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  /** Bits of a colour on a terminal: 1, 4, 8 or 24. */
  getColorDepth?(): number;
}

export interface Terminal {
  readonly out: Stream;
  readonly err: Stream;
  /** What is typed, or piped in; default nothing. */
  readonly in?: Readable & { readonly isTTY?: boolean };
}

/** What every command is given. */
export interface Context {
  readonly terminal: Terminal;
  /** Fires at Ctrl-C. */
  readonly signal: AbortSignal;
}

/** `1234567` -> `1.2 MB`. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let [value, unit] = [bytes, 0];
  while (value >= 999.5 && unit < units.length - 1) [value, unit] = [value / 1000, unit + 1];
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

/** Rows of cells in columns of equal width, two spaces apart. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widthOf = (column: number) => Math.max(...rows.map((row) => row[column]?.length ?? 0));
  const line = (row: readonly string[]) => row.map((cell, column) => cell.padEnd(widthOf(column))).join('  ');
  return rows.map((row) => line(row).trimEnd()).join('\n');
}
