import { run } from '../../lib/cli/main';

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

/** Runs `mglmm` with these arguments in this process. */
export async function mglmm(args: readonly string[], signal: AbortSignal = new AbortController().signal): Promise<Ran> {
  let [out, err] = ['', ''];
  const write = (add: (text: string) => void) => ({ write: (text: string) => add(text) });
  const terminal = { out: write((text) => (out += text)), err: write((text) => (err += text)) };
  const code = await run(args, terminal, signal);
  return { code, out, err };
}
