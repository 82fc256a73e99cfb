/** What the CUDA backend has to reach beside PyTorch on an H200, and whether the results of a run say that it does. */
import type { Result } from './harness';

interface GpuGoal {
  what: string;
  /** As in the table: a ratio of times, a share, seconds. */
  wanted: string;
  /** Names of the cases that have to meet it, each of them. */
  cases: RegExp;
}

/** What bench/answer.ts writes. */
export interface AnswerResults {
  medianSeconds?: number;
  inTime?: boolean;
}

export const gpuGoals: readonly GpuGoal[] = [
  {
    what: 'attention, causal, bf16, heads of 128, by the best SDPA',
    wanted: '0.9x',
    cases: /^attention causal bf16 .*(2048|4096|8192) tokens of 128$/,
  },
  {
    what: 'attention, causal, bf16, heads of 64, by the best SDPA',
    wanted: '0.9x',
    cases: /^attention causal bf16 .*(2048|4096|8192) tokens of 64$/,
  },
  { what: 'SAM global attention by SDPA with bias', wanted: '3x', cases: /^samAttention .* beside SDPA with bias$/ },
  { what: 'SAM ViT-H encoder', wanted: '1.5x', cases: /^SAM vit_h image encoder/ },
  { what: '7B decode by the rate of the memory', wanted: '80 %', cases: /^LLaMA 7B .* of the memory's rate$/ },
  { what: '7B decode by transformers', wanted: '2x', cases: /^LLaMA 7B bf16, \d+ tokens after [^,]*$/ },
  { what: '7B, a prompt of 700, by 790 TFLOP/s', wanted: '60 %', cases: /^LLaMA 7B .* a prompt of 700$/ },
  { what: 'mask decoder of 64 masks', wanted: '3x', cases: /^SAM mask decoder bf16, 64 prompt/ },
  { what: 'mask loss and its gradient', wanted: '5x', cases: /^maskLoss and its gradient/ },
  { what: 'LoRA step of the 7B, 16 a batch, in less memory', wanted: '1.3x', cases: /^LoRA step bf16, 7B/ },
];
const answerGoal = { what: 'a picture and a question to 100 tokens and 8 masks', wanted: '0.8 s at most' };

export interface GoalRow {
  what: string;
  wanted: string;
  /** Of the worst of its cases; ours and the peer's. */
  ours?: string;
  torch?: string;
  figure?: string;
  verdict: 'met' | 'MISSED' | 'not measured';
}

const milliseconds = (seconds?: number) => (seconds === undefined ? undefined : `${(1000 * seconds).toPrecision(4)} ms`);
const figureOf = ({ goal, ratio, share, shareOfGoal }: Result) => (typeof goal === 'object' ? (goal.of ? shareOfGoal : share) : ratio);
const write = ({ goal }: Result, figure?: number) =>
  figure === undefined ? undefined : typeof goal === 'object' ? `${(100 * figure).toFixed(0)} %` : `${figure.toFixed(2)}x`;

/** A row for each goal, measured or not. */
export function goalRows(results: readonly Result[], answer?: AnswerResults): GoalRow[] {
  const ofCases = gpuGoals.map(({ what, wanted, cases }): GoalRow => {
    const found = results.filter(({ name, goal }) => goal !== undefined && cases.test(name));
    const [worst] = [...found].sort((a, b) => (figureOf(a) ?? 0) - (figureOf(b) ?? 0));
    if (!worst || found.some(({ met }) => met === undefined)) return { what, wanted, verdict: 'not measured' };
    const verdict = found.every(({ met }) => met) ? 'met' : 'MISSED';
    const [ours, torch] = [milliseconds(worst.ours?.median), milliseconds(worst.torch?.median)];
    return { what, wanted, ours, torch, figure: write(worst, figureOf(worst)), verdict };
  });
  const { medianSeconds, inTime } = answer ?? {};
  const ofAnswer: GoalRow = {
    ...answerGoal,
    figure: medianSeconds === undefined ? undefined : `${medianSeconds.toFixed(3)} s`,
    verdict: inTime === undefined ? 'not measured' : inTime ? 'met' : 'MISSED',
  };
  return [...ofCases, ofAnswer];
}
