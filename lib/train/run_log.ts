/** What a run tells of its steps, on the disk: lines of JSON, TensorBoard's events, and at the end a picture of the losses. */
import { type FileHandle, mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { lineChartPng } from '../image/line_chart';
import type { Evaluation } from './evaluate';
import { EventFile } from './event_file';
import type { StepReport } from './trainer';

const logFile = 'log.jsonl';
const chartFile = 'loss.png';
/** Steps over which the smooth line is the mean, as a share of all. */
const SMOOTH = 0.02;

interface Line {
  readonly kind: 'step' | 'evaluation';
  readonly step: number;
  readonly [field: string]: unknown;
}

export class RunLog implements AsyncDisposable {
  readonly #folder: string;
  readonly #lines: FileHandle;
  readonly #events: EventFile;
  /** Whether an evaluation after the last step before the first was told already. */
  readonly hasFirstEvaluation: boolean;

  private constructor(folder: string, lines: FileHandle, events: EventFile, hasFirstEvaluation: boolean) {
    this.#folder = folder;
    this.#lines = lines;
    this.#events = events;
    this.hasFirstEvaluation = hasFirstEvaluation;
  }

  /** @param firstStep - the first that will be told: what is there of it and later ones, of a run that was killed, is dropped. */
  static async open(folder: string, firstStep: number): Promise<RunLog> {
    await mkdir(folder, { recursive: true });
    const path = join(folder, logFile);
    const kept = (await readLines(path)).filter(({ step, kind }) => step < firstStep || (kind === 'evaluation' && step === firstStep));
    await writeFile(`${path}.partial`, kept.map((line) => `${JSON.stringify(line)}\n`).join(''));
    await rename(`${path}.partial`, path);
    const told = kept.find(({ step }) => step === firstStep);
    const log = new RunLog(folder, await open(path, 'a'), await EventFile.create(join(folder, 'events'), firstStep), told !== undefined);
    // The new file makes what older ones say of this step void.
    if (told) await log.#look({ ...(told as unknown as Evaluation), loss: Number(told.loss ?? Number.NaN) }, firstStep);
    return log;
  }

  async step(report: StepReport, seconds: { readonly step: number; readonly data: number }): Promise<void> {
    const { step, badSamples, ...figures } = report;
    await this.#line({ kind: 'step', step, ...figures, seconds: seconds.step, dataSeconds: seconds.data, ...named(badSamples) });
    const masks: Record<string, number> = report.hasMasks
      ? { 'train/mask_bce_loss': report.maskBceLoss, 'train/mask_dice_loss': report.maskDiceLoss, 'train/mask_loss': report.maskLoss }
      : {};
    await this.#events.write(
      {
        'train/loss': report.loss,
        'train/ce_loss': report.ceLoss,
        ...masks,
        'train/lr': report.lr,
        'train/grad_norm': report.gradNorm,
        'metrics/total_secs_per_batch': seconds.step,
        'metrics/data_secs_per_batch': seconds.data,
      },
      step,
    );
  }

  async evaluation({ badSamples, ...evaluation }: Evaluation, step: number): Promise<void> {
    await this.#line({ kind: 'evaluation', step, ...evaluation, ...named(badSamples) });
    await this.#look(evaluation, step);
  }

  /** Draws the losses of the whole run. @returns the path of the picture. */
  async drawLosses(): Promise<string> {
    const lines = await readLines(join(this.#folder, logFile));
    const points = (kind: Line['kind'], field: string) =>
      lines.filter((line) => line.kind === kind).map((line) => [line.step, Number(line[field] ?? Number.NaN)] as const);
    const losses = points('step', 'loss');
    const png = await lineChartPng(
      [
        { name: 'evaluation', points: points('evaluation', 'loss'), colour: '#169161', width: 2 },
        { name: 'smoothed', points: smoothed(losses), colour: '#3465d5', width: 2 },
        { name: 'loss', points: losses, colour: '#b9c8ee' },
      ].reverse(),
      { title: 'loss', xLabel: 'step' },
    );
    const path = join(this.#folder, chartFile);
    await writeFile(path, png);
    return path;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#lines.close();
    await this.#events[Symbol.asyncDispose]();
  }

  async #look({ loss, giou, ciou, masks }: Omit<Evaluation, 'badSamples'>, step: number): Promise<void> {
    const overlaps: Record<string, number> = masks > 0 ? { 'val/giou': giou, 'val/ciou': ciou } : {};
    await this.#events.write({ 'val/loss': loss, ...overlaps }, step);
  }

  async #line(line: Line): Promise<void> {
    await this.#lines.write(`${JSON.stringify(line)}\n`);
  }
}

const named = (bad: readonly Error[]) => (bad.length > 0 ? { bad: bad.map(({ message }) => message) } : {});

/** What is no whole line, as a run that was killed may leave one, is passed over. */
async function readLines(path: string): Promise<Line[]> {
  const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  return text.split('\n').flatMap((line) => {
    try {
      const parsed = JSON.parse(line) as Line;
      return typeof parsed?.step === 'number' ? [parsed] : [];
    } catch {
      return [];
    }
  });
}

function smoothed(points: readonly (readonly [number, number])[]): [number, number][] {
  const keep = 1 - 1 / Math.max(1, SMOOTH * points.length);
  let [mean, weight] = [0, 0];
  return points.map(([step, loss]) => {
    if (!Number.isFinite(loss)) return [step, Number.NaN];
    mean = keep * mean + (1 - keep) * loss;
    weight = keep * weight + (1 - keep);
    return [step, mean / weight];
  });
}
