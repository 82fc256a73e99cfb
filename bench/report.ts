/** Results of bench/run.ts as lines of a terminal and as a table in Markdown. */
import type { MemoryUse, Result } from './harness';
import type { Limits } from './limits';

const header = ['case', 'ours ms', 'quartiles', 'torch ms', 'ratio', 'rate', 'of limit', 'goal'];
const widths = [46, 9, 17, 9, 8, 28, 9, 16];

const milliseconds = (seconds: number) => (seconds * 1000).toPrecision(seconds >= 0.1 ? 4 : 3);

export function describeGoal({ goal, met }: Pick<Result, 'goal' | 'met'>): string {
  if (goal === undefined) return '';
  const share = typeof goal === 'object' && `${Math.round(100 * goal.share)} %${goal.of ? ` of ${goal.of} TFLOP/s` : ''}`;
  return `${share || `${goal}x`} ${met === undefined ? 'not judged' : met ? 'met' : 'MISSED'}`;
}

function cells({ name, ours, torch, ratio, gigaflops, gigabytes, share, goal, met }: Result): string[] {
  const rates = [gigaflops && `${gigaflops.toPrecision(3)} GFLOP/s`, gigabytes && `${gigabytes.toPrecision(3)} GB/s`];
  return [
    name,
    ours ? milliseconds(ours.median) : 'failed',
    ours ? `${milliseconds(ours.lowerQuartile)}..${milliseconds(ours.upperQuartile)}` : '',
    torch ? milliseconds(torch.median) : '-',
    ratio ? `${ratio.toFixed(2)}x` : '-',
    rates.filter(Boolean).join(', '),
    share ? `${(100 * share).toFixed(0)} %` : '',
    describeGoal({ goal, met }),
  ];
}

function describeMemory({ ours, torch, transient }: MemoryUse, { device }: Limits): string {
  const gigabytes = (bytes: number) => `${(bytes / 1e9).toPrecision(3)} GB`;
  const peer = torch ? `, torch's ${gigabytes(torch)}` : '';
  return `${device === 'cpu' ? 'resident' : 'tensors'} at most ${gigabytes(ours)}${peer}; tensors of a run ${gigabytes(transient)}`;
}

export function describeLimits({ f32Gigaflops, bf16Gigaflops, readGigabytes }: Limits): string {
  const known = (value: number | undefined, unit: string) => (value ? `${value.toPrecision(3)} ${unit}` : 'unknown');
  return `f32 ${known(f32Gigaflops, 'GFLOP/s')}, bf16 ${known(bf16Gigaflops, 'GFLOP/s')}, memory ${known(readGigabytes, 'GB/s')}`;
}

/** What there is to say of a result beside its row. */
function remarks({ memory, lighter, met, goal, shareOfGoal, failures }: Result, limits: Limits): string[] {
  return [
    ...(shareOfGoal && typeof goal === 'object' ? [`${(100 * shareOfGoal).toFixed(0)} % of ${goal.of} TFLOP/s`] : []),
    ...(memory ? [describeMemory(memory, limits)] : []),
    ...(lighter
      ? [
          `${lighter.memory.toFixed(2)} times less than ${lighter.name}, in ${lighter.time.toFixed(2)} times the time: ${met ? 'met' : 'MISSED'}`,
        ]
      : []),
    ...failures.map((failure) => `FAILED ${failure}`),
  ];
}

const row = (columns: readonly string[]) =>
  columns.map((text, i) => (i === 0 ? text.padEnd(widths[i] as number) : text.padStart(widths[i] as number))).join(' ');

export const headerLine = row(header);

export const linesOf = (result: Result, limits: Limits): string =>
  [row(cells(result)), ...remarks(result, limits).map((remark) => `  ${remark}`)].join('\n');

export function markdownOf(about: readonly string[], results: readonly Result[], limits: Limits): string {
  const line = (columns: readonly string[]) => `| ${columns.map((text) => text.replaceAll('|', '\\|')).join(' | ')} |`;
  const notes = results.flatMap((result) => remarks(result, limits).map((remark) => `- ${result.name}: ${remark}`));
  const table = [line(header), line(header.map(() => '---')), ...results.map((result) => line(cells(result)))];
  return [...about, '', ...table, ...(notes.length > 0 ? ['', ...notes] : []), ''].join('\n');
}
