/** A training run: steps, evaluations and snapshots in their order, from the beginning or from where a run was stopped or killed. */
import { join } from 'node:path';
import type { Batch, BatchSource } from '../data/loader';
import { AbortedError, TrainingError } from '../errors';
import { resetPeak } from '../tensor/create';
import { differingSettings } from './config';
import { type Evaluation, evaluate } from './evaluate';
import { type TrainingMemory, trainingMemory } from './memory_report';
import { RunLog } from './run_log';
import {
  findSnapshot,
  noteBest,
  pruneSnapshots,
  restoreSnapshot,
  type SnapshotState,
  saveSnapshot,
  setAside,
  snapshotPath,
  snapshotSteps,
} from './snapshot';
import type { StepReport, Trainer, TrainingCounts } from './trainer';

/** Steps in a row that changed nothing, after which no other is expected to. */
const mostIdleSteps = 100;

export interface RunOptions {
  readonly trainer: Trainer;
  /** Stays its owner's, as `trainer` and `evaluation.source` do. */
  readonly source: BatchSource;
  /** Folder of the run. */
  readonly output: string;
  /** Updates in all. */
  readonly steps: number;
  /** Batches an update. */
  readonly accumulation: number;
  readonly snapshots?: { readonly every: number; readonly keepLast: number };
  readonly evaluation?: {
    readonly source: BatchSource;
    readonly every: number;
    readonly batches: number;
    readonly metric: 'loss' | 'giou' | 'ciou';
    /** What `source` is of, as JSON: the best of other samples is none of these. */
    readonly data?: unknown;
  };
  /** What decides the steps: a run goes on only with the one it began with. As JSON. */
  readonly config?: unknown;
  /** Samples of each data set of `source`: where they are others, a batch is another. */
  readonly dataLengths?: readonly number[];
  /** Go on from the newest snapshot that is whole, where there is one. Default false. */
  readonly resume?: boolean;
  /** Once it fires the step that is running is finished, a snapshot written, and an AbortedError thrown. */
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: RunEvent) => void;
}

export type RunEvent =
  | { readonly type: 'resumed'; readonly step: number; readonly damaged: readonly TrainingError[] }
  | {
      readonly type: 'step';
      readonly report: StepReport;
      readonly steps: number;
      readonly samplesPerSecond: number;
      /** Until the last step, at the mean rate so far. */
      readonly etaSeconds: number;
    }
  | { readonly type: 'evaluation'; readonly step: number; readonly evaluation: Evaluation; readonly isBest: boolean }
  | { readonly type: 'snapshot'; readonly path: string };

export interface RunResult {
  readonly step: number;
  readonly counts: TrainingCounts;
  readonly best?: { readonly step: number; readonly value: number };
  /** At the end, in bytes. */
  readonly memory: TrainingMemory;
  /** Path of the picture of the losses. */
  readonly chart: string;
}

/**
 * @throws TrainingError when the folder has a run already and is not to be resumed, when that was of another configuration, when no
 *   snapshot is whole, or steps change nothing; AbortedError when `signal` fires, the snapshot is written then; what `trainer` and `source` throw.
 */
export async function runTraining(options: RunOptions): Promise<RunResult> {
  const { trainer, source, output, steps, accumulation, evaluation, config = null, dataLengths, signal, onEvent } = options;
  const { every, keepLast } = { every: 500, keepLast: 2, ...options.snapshots };
  const folder = join(output, 'snapshots');
  let best = await begin(folder, options);
  await using log = await RunLog.open(output, trainer.state.step);
  resetPeak(trainer.model.device); // activations are counted from here
  let saved = trainer.state.step;
  const save = async () => {
    saved = trainer.state.step; // or was tried to be, which is not tried again
    const path = await saveSnapshot(folder, trainer, { config, output, dataLengths: dataLengths?.slice(), best });
    await pruneSnapshots(folder, { last: keepLast, best: best?.step });
    onEvent?.({ type: 'snapshot', path });
  };
  const evaluateWhenDue = async () => {
    const { step } = trainer.state;
    const isDue = evaluation && step > 0 && (step % evaluation.every === 0 || step === steps);
    const result = isDue && (await unlessAborted(evaluate(trainer, evaluation.source, evaluation.batches, signal), signal));
    if (!result) return;
    const { metric } = evaluation;
    const value = metric === 'loss' ? -result.loss : result[metric];
    const isBest = Number.isFinite(value) && (!best || value > (metric === 'loss' ? -best.value : best.value));
    if (isBest) {
      best = { step, value: result[metric], of: lookOf(evaluation) };
      if (saved === step) await noteBest(snapshotPath(folder, step), best);
      else await save();
    }
    await log.evaluation(result, step);
    onEvent?.({ type: 'evaluation', step, evaluation: result, isBest });
  };
  // The batches of the next step are made ready while this one runs.
  const ahead = new Ahead(source, accumulation, steps * accumulation, signal);
  const started = performance.now();
  const first = trainer.state.step;
  let samples = 0;
  let idle = 0;
  try {
    if (!log.hasFirstEvaluation) await evaluateWhenDue(); // it was stopped in it
    while (trainer.state.step < steps && !signal?.aborted) {
      const begun = performance.now();
      const batches = await unlessAborted(ahead.take(trainer.state.step), signal);
      if (!batches) break;
      const fetched = performance.now();
      const report = await trainer.step(batches);
      const now = performance.now();
      const done = trainer.state.step;
      await log.step(report, { step: (now - begun) / 1000, data: (fetched - begun) / 1000 });
      samples += report.samples;
      const seconds = (now - started) / 1000;
      onEvent?.({
        type: 'step',
        report,
        steps,
        samplesPerSecond: samples / seconds,
        etaSeconds: (seconds / (done - first)) * (steps - done),
      });
      idle = report.isApplied ? 0 : idle + 1;
      if (idle === mostIdleSteps) throw idleError(done, report);
      if (done % every === 0) await save();
      await evaluateWhenDue();
    }
  } catch (error) {
    // Steps that were done are kept; the error to tell is the one that ended the run.
    if (trainer.isWhole && saved !== trainer.state.step) await save().catch(() => undefined);
    throw error;
  }
  ahead.drop();
  const { step, counts } = trainer.state;
  if (saved !== step) await save();
  if (step < steps)
    throw new AbortedError(`training was stopped after step ${step} of ${steps}; it goes on with resume`, { cause: signal?.reason });
  if (counts.samples === 0) throw idleError(step);
  return {
    step,
    counts,
    best: best && { step: best.step, value: best.value },
    memory: trainingMemory(trainer),
    chart: await log.drawLosses(),
  };
}

/** @returns undefined where it failed because `signal` fired. */
async function unlessAborted<Result>(work: Promise<Result>, signal: AbortSignal | undefined): Promise<Result | undefined> {
  return work.catch((error: unknown) => {
    if (signal?.aborted) return undefined;
    throw error;
  });
}

function idleError(step: number, report?: StepReport): TrainingError {
  const which = report ? `the last ${mostIdleSteps} of ${step} steps` : `${step} steps`;
  const [bad] = report?.badSamples ?? [];
  const why = bad?.message ?? 'they had no sample to train on, or no finite gradient';
  return new TrainingError(`training: ${which} changed nothing: ${why}`, { cause: bad });
}

/** @returns the best of the run so far. */
async function begin(
  folder: string,
  { trainer, output, config = null, dataLengths, resume = false, evaluation, onEvent }: RunOptions,
): Promise<NonNullable<SnapshotState['best']> | undefined> {
  if (!resume) {
    const [newest] = await snapshotSteps(folder);
    if (newest !== undefined)
      throw new TrainingError(`${folder} has snapshots up to step ${newest}: resume that run, or give another output`);
    return undefined;
  }
  const found = await findSnapshot(folder);
  if (!found) return undefined;
  const fields = differingSettings(found.state, { config, output });
  if (fields.length > 0)
    throw new TrainingError(`${found.path} is of a run with other settings: ${fields.join(', ')}; expected the same, or another output`);
  const lengths = found.state.dataLengths ?? [];
  const other = lengths.findIndex((length, i) => length !== (dataLengths?.[i] ?? length));
  if (other >= 0) {
    const samples = `data.${other} has ${dataLengths?.[other]} samples, expected ${lengths[other]}`;
    throw new TrainingError(`${found.path} is of a run with other data: ${samples}; or another output`);
  }
  await restoreSnapshot(found, trainer);
  await setAside(folder, found.state.step);
  onEvent?.({ type: 'resumed', step: found.state.step, damaged: found.damaged });
  const { best } = found.state;
  if (!best || !evaluation) return best ?? undefined;
  // Those that do not say what they are of are taken for the same.
  const of = lookOf(evaluation);
  return differingSettings({ config: best.of ?? of, output: found.state.output }, { config: of, output }).length > 0
    ? undefined
    : { ...best, of };
}

/** What a best value is of. */
const lookOf = ({ metric, batches, data = null }: NonNullable<RunOptions['evaluation']>) => ({ metric, batches, data });

/** Batches of a step, asked for a step early. */
class Ahead {
  #step = -1;
  #batches: Promise<Batch[]> | undefined;

  constructor(
    readonly source: BatchSource,
    readonly accumulation: number,
    readonly end: number,
    readonly signal: AbortSignal | undefined,
  ) {}

  async take(step: number): Promise<Batch[]> {
    const asked = this.#step === step ? this.#batches : undefined;
    const batches = await (asked ?? this.#fetch(step));
    this.drop();
    if ((step + 1) * this.accumulation < this.end) {
      this.#step = step + 1;
      this.#batches = this.#fetch(step + 1);
      this.#batches.catch(() => undefined); // it is told when it is taken
    }
    return batches;
  }

  drop(): void {
    this.#batches = undefined;
  }

  #fetch(step: number): Promise<Batch[]> {
    const first = step * this.accumulation;
    return Promise.all(Array.from({ length: this.accumulation }, (_, i) => this.source.batch(first + i, { signal: this.signal })));
  }
}
