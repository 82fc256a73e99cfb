/** `mglmm doctor`: what this machine has of what mglmm needs, and for what is missing the line that fixes it. */
import type { Command } from 'commander';
import { MglmmError } from '../errors';
import { addon, backend, type Finding, fonts, gpu, memoryOf, node, pictures, processorOf, systemOf, threads } from './findings';
import { stylesOf } from './styles';
import type { Context, Stream } from './terminal';

interface DoctorOptions {
  readonly model?: string;
  readonly clip?: string;
  readonly sam?: string;
  readonly tokenizer?: string;
  readonly json?: boolean;
}

export function define(command: Command, { terminal }: Context): void {
  command
    .option('--model <dir>', 'look at a folder of weights too')
    .option('--clip <dir>', 'folder or file of its CLIP tower, where it is elsewhere')
    .option('--sam <file>', 'file of Segment Anything, where the model has none')
    .option('--tokenizer <dir>', 'folder of its tokenizer, where it is elsewhere')
    .option('--json', 'the same for programs')
    .action(async ({ model, json, ...elsewhere }: DoctorOptions) => {
      const loaded = addon();
      const findings = [node(), systemOf(), processorOf(), ...loaded.problems];
      if (loaded.name !== undefined) findings.push(...backend(loaded.name));
      if (!loaded.problems.some(({ what }) => what === 'threads')) findings.push(threads());
      findings.push(memoryOf(), pictures(), fonts(), ...gpu());
      if (model !== undefined) {
        if (loaded.name === undefined) findings.push({ what: 'model', found: 'not looked at: the addon does not load', state: 'note' });
        else {
          const { modelFindings } = require('./model_findings') as typeof import('./model_findings');
          findings.push(...(await modelFindings(model, elsewhere)));
        }
      }
      const bad = findings.filter(({ state }) => state === 'bad').length;
      if (json) terminal.out.write(`${JSON.stringify({ ready: bad === 0, findings }, undefined, 2)}\n`);
      else terminal.out.write(asText(findings, terminal.out));
      if (bad > 0) throw new NotReadyError(bad);
    });
}

class NotReadyError extends MglmmError {
  constructor(count: number) {
    super('MGLMM_NOT_READY', `${count} ${count === 1 ? 'thing is' : 'things are'} in the way`);
  }
}

function asText(findings: readonly Finding[], stream: Stream): string {
  const { bold, dim } = stylesOf(stream);
  const width = Math.max(...findings.map(({ what }) => what.length));
  const indent = `\n${' '.repeat(width + 8)}`;
  const marks = { good: dim('ok  '), note: 'note', bad: bold('BAD ') };
  return findings
    .map(({ what, found, state, fix }) => {
      const line = `${marks[state]}  ${what.padEnd(width)}  ${found.trim().replace(/\s*\n\s*/g, indent)}\n`;
      return fix === undefined ? line : `${line.trimEnd()}${indent}${bold('fix:')} ${fix}\n`;
    })
    .join('');
}
