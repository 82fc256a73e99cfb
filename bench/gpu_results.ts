/**
 * npx tsx bench/gpu_results.ts FOLDER GPU ABOUT <STAGES: puts together what the stages of scripts/gpu_check.sh have left in FOLDER so far,
 * as GPU.json and GPU.md. STAGES are lines of a name, what became of it and seconds.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type AnswerResults, goalRows } from './gpu_goals';
import type { Result } from './harness';
import type { Limits } from './limits';
import { describeLimits, markdownOf } from './report';

interface Run {
  limits: Limits;
  results: Result[];
}

interface Tests {
  files: number;
  devices: Record<string, { passed: number; failed: number }>;
  failures: { file: string; test?: string }[];
}

const [folder = '', gpu = '', about = ''] = process.argv.slice(2);
const path = (name: string) => join(folder, name);
const read = <Value>(name: string): Value | undefined =>
  existsSync(path(name)) ? (JSON.parse(readFileSync(path(name), 'utf8')) as Value) : undefined;

const stages = readFileSync(0, 'utf8')
  .trim()
  .split('\n')
  .map((line) => {
    const [name = '', status = '', seconds] = line.split('\t');
    return { name, status, seconds: Number(seconds) };
  });
const tests = read<Tests>('tests.json');
const [goals, ops, answer] = [read<Run>('goals.json'), read<Run>('ops.json'), read<AnswerResults>('answer.json')];
const sanitizer = existsSync(path('sanitizer.txt')) ? readFileSync(path('sanitizer.txt'), 'utf8').split('\n') : [];
const rows = goalRows(goals?.results ?? [], answer);

const bad = stages.filter(({ status }) => status !== 'passed').map(({ name, status }) => `${name} ${status}`);
const counts = Object.entries(tests?.devices ?? {}).map(([device, { passed, failed }]) => `${device} ${passed} passed, ${failed} failed`);
const line = (...cells: (string | undefined)[]) => `| ${cells.map((cell) => cell ?? '').join(' | ')} |`;
const sanitized = (tool: string) => {
  const files = sanitizer.filter((text) => new RegExp(`^${tool} \\S+: `).test(text));
  const [, all = '0'] = new RegExp(`^${tool} has (\\d+) files$`, 'm').exec(sanitizer.join('\n')) ?? [];
  return `${tool}: ${files.length} of ${all} files, ${files.filter((text) => text.endsWith(': clean')).length} clean`;
};

const text = [
  `# ${about}`,
  '',
  bad.length > 0 ? `**Did not pass: ${bad.join('; ')}.**` : `All of ${stages.map(({ name }) => name).join(', ')} passed.`,
  '',
  '## Goals',
  '',
  line('goal', 'wanted', 'ours', 'PyTorch', 'figure', 'met'),
  line(...Array.from({ length: 6 }, () => '---')),
  ...rows.map(({ what, wanted, ours, torch, figure, verdict }) => line(what, wanted, ours, torch, figure, verdict)),
  '',
  '## Stages',
  '',
  ...stages.map(({ name, status, seconds }) => `- ${name}: ${status}, ${seconds} s`),
  `- tests: ${tests ? `${tests.files} files, ${counts.join('; ')}` : 'none'}`,
  ...(tests?.failures ?? []).slice(0, 40).map(({ file, test }) => `  - FAILED ${file} ${test ?? ''}`),
  `- ${sanitized('memcheck')}`,
  `- ${sanitized('racecheck')}`,
  ...sanitizer.filter((one) => /^\w+ \S+: FAILED/.test(one)).map((one) => `  - ${one}`),
  '',
  '## Benchmarks',
  '',
  ...[goals, ops]
    .filter((run) => run !== undefined)
    .map(({ limits, results }) => markdownOf([`Limits: ${describeLimits(limits)}`], results, limits)),
];
writeFileSync(path(`${gpu}.md`), `${text.join('\n')}\n`);
writeFileSync(
  path(`${gpu}.json`),
  `${JSON.stringify({ about, stages, goals: rows, tests, sanitizer, runs: { goals, ops }, answer }, null, 1)}\n`,
);
