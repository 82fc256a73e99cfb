#!/usr/bin/env node
/** The `mglmm` command. Reads the code of the one command that is run, so that each starts as fast as it can. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { AbortedError } from '../errors';
import { commands } from './commands';
import type { Terminal } from './terminal';
import { UsageError } from './usage';

const USAGE = 2;
const INTERRUPTED = 130; // as a shell says it: 128 + SIGINT

/**
 * Runs a command line.
 * @param args - without the program's name.
 * @returns the exit code: 0, 1 after an error, 2 for arguments that make no sense, 130 when `signal` fired.
 */
export async function run(args: readonly string[], terminal: Terminal, signal: AbortSignal): Promise<number> {
  const { version } = JSON.parse(readFileSync(join(__dirname, '../../package.json'), 'utf8')) as { version: string };
  const program = new Command('mglmm')
    .description('Grounded conversation about images: text with phrases and their masks')
    .version(version);
  program.exitOverride().configureOutput({ writeOut: (text) => terminal.out.write(text), writeErr: (text) => terminal.err.write(text) });
  const words = args.filter((one) => !one.startsWith('-'));
  const named = words[0] === 'help' ? words[1] : words[0];
  try {
    for (const [name, { summary, file }] of Object.entries(commands)) {
      const command = program.command(name).description(summary).copyInheritedSettings(program);
      if (name === named) file().define(command, { terminal, signal });
    }
    await program.parseAsync(args, { from: 'user' });
    return 0;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : USAGE;
    if (signal.aborted) {
      terminal.err.write('mglmm: interrupted\n');
      return INTERRUPTED;
    }
    terminal.err.write(`mglmm: ${messageOf(error)}\n`);
    return error instanceof UsageError ? USAGE : 1;
  }
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return process.env.MGLMM_DEBUG ? (error.stack ?? error.message) : error.message;
}

/** The first Ctrl-C asks the command to stop and clean up, the second ends it. */
export function interruptible(): AbortSignal {
  const controller = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM'] as const) {
    process.on(name, () => {
      if (controller.signal.aborted) process.exit(INTERRUPTED);
      controller.abort(new AbortedError(`stopped by ${name}`));
    });
  }
  return controller.signal;
}

if (require.main === module) {
  process.stdout.on('error', ({ code, message }: NodeJS.ErrnoException) => {
    if (code === 'EPIPE') process.exit(0); // a reader such as `head` that has seen enough is no error
    process.stderr.write(`mglmm: the standard output cannot be written: ${message}\n`);
    process.exit(1);
  });
  process.stderr.on('error', () => {}); // results matter all the same, and there is nobody to tell
  const { stdout: out, stderr: err } = process;
  // Opened by those that read it.
  const terminal = {
    out,
    err,
    get in() {
      return process.stdin;
    },
  };
  void run(process.argv.slice(2), terminal, interruptible()).then((code) => {
    process.exitCode = code;
  });
}
