/** `mglmm train CONFIG`: a training run as a file says, from its beginning or from where it was stopped. */
import type { Command } from 'commander';
import { configFields, readConfig, type TrainConfig } from '../train/config';
import { estimateMemory } from '../train/memory_estimate';
import type { RunEvent } from '../train/run';
import { prepareModel, train, tryData } from '../train/train';
import { type Context, formatBytes, formatTable, type Stream } from './terminal';
import { UsageError } from './usage';

interface TrainFlags {
  readonly resume?: boolean;
  readonly dryRun?: boolean;
  readonly fields?: boolean;
}

/** Milliseconds between two lines, or two drawings of one. */
const LINE_MS = 1000;
const REDRAW_MS = 100;

export function define(command: Command, { terminal, signal }: Context): void {
  command
    .argument('[config]', 'YAML file; --fields says what may stand in it')
    .option('--resume', 'go on from the newest snapshot that is whole, where there is one')
    .option('--dry-run', 'open what the file names and say what the run will need, without running it')
    .option('--fields', 'list the fields of the file')
    .action(async (file: string | undefined, flags: TrainFlags) => {
      if (flags.fields) {
        terminal.out.write(`${formatTable(configFields().map(({ name, fallback = '', description }) => [name, fallback, description]))}\n`);
        return;
      }
      if (file === undefined) throw new UsageError('train: no configuration is given: expected the path of a YAML file');
      const config = await readConfig(file);
      if (flags.dryRun) {
        await tryData(config, signal);
        await tellNeeds(config, terminal.out);
        return;
      }
      const bad = new Set<string>();
      const line = new StatusLine(terminal.err);
      const result = await train(config, {
        resume: flags.resume,
        signal,
        onEvent: (event) => tell(event, line),
        onBadSample: ({ message }) => {
          // A sample comes again with every epoch; it is told once.
          if (!bad.has(message)) line.print(`left out: ${message}`);
          bad.add(message);
        },
      }).finally(() => line.clear());
      const { samples, tokens, masks, badSamples, skippedSteps, surplusTargets, truncated } = result.counts;
      const counts = {
        samples,
        tokens,
        masks,
        'bad samples': badSamples,
        'steps left out': skippedSteps,
        'masks left over': surplusTargets,
        cut: truncated,
      };
      terminal.out.write(
        `${Object.entries(counts)
          .map(([name, count]) => `${name} ${count}`)
          .join(', ')}\n`,
      );
      const kinds = Object.entries(result.memory).map(([name, bytes]) => `${name} ${formatBytes(bytes)}`);
      terminal.out.write(`memory: ${kinds.join(', ')}\n`);
      if (result.best)
        terminal.out.write(`best ${config.evaluation.metric} ${result.best.value.toFixed(4)} after step ${result.best.step}\n`);
      terminal.out.write(`${result.adapter ?? result.model}\n${result.chart}\n`);
    });
}

function tell(event: RunEvent, line: StatusLine): void {
  if (event.type === 'resumed') {
    for (const { message } of event.damaged) line.print(`left aside: ${message}`);
    line.print(`goes on after step ${event.step}`);
  } else if (event.type === 'snapshot') line.print(`snapshot ${event.path}`);
  else if (event.type === 'evaluation') {
    const { loss, giou, ciou, masks } = event.evaluation;
    const overlap = masks > 0 ? `, gIoU ${giou.toFixed(4)}, cIoU ${ciou.toFixed(4)}` : '';
    line.print(`evaluation after step ${event.step}: loss ${loss.toFixed(4)}${overlap}${event.isBest ? ', the best so far' : ''}`);
  } else {
    const { report, steps, samplesPerSecond, etaSeconds } = event;
    const { step, loss, ceLoss, maskLoss, hasMasks, lr, isApplied } = report;
    const losses = `loss ${loss.toFixed(4)} (text ${ceLoss.toFixed(4)}${hasMasks ? `, masks ${maskLoss.toFixed(4)}` : ''})`;
    const rates = `${samplesPerSecond.toFixed(2)} samples/s, ${formatDuration(etaSeconds)} left`;
    line.show(`step ${step + 1} of ${steps}  ${losses}  lr ${lr.toExponential(2)}  ${rates}`, step + 1 === steps);
    if (!isApplied)
      line.print(`step ${step + 1} changed nothing: its gradient is not finite, or it had no sample, or none of what is trained`);
  }
}

/** The last line of a terminal, drawn again and again; elsewhere now and then a line. */
class StatusLine {
  readonly #stream: Stream;
  #shownMs = Number.NEGATIVE_INFINITY;
  #isDrawn = false;

  constructor(stream: Stream) {
    this.#stream = stream;
  }

  show(text: string, isLast: boolean): void {
    const now = performance.now();
    if (!isLast && now - this.#shownMs < (this.#stream.isTTY ? REDRAW_MS : LINE_MS)) return;
    this.#shownMs = now;
    if (!this.#stream.isTTY) {
      this.#stream.write(`${text}\n`);
      return;
    }
    this.#stream.write(`\r\x1b[K${text.slice(0, (this.#stream.columns ?? 80) - 1)}`);
    this.#isDrawn = true;
  }

  print(text: string): void {
    this.clear();
    this.#stream.write(`${text}\n`);
  }

  /** Ends the line that is drawn, so that it stays. */
  clear(): void {
    if (this.#isDrawn) this.#stream.write('\n');
    this.#isDrawn = false;
  }
}

/** `3725` -> `1 h 02 min`. */
export function formatDuration(seconds: number): string {
  const [whole, two] = [Math.max(0, Math.round(seconds)), (value: number) => String(value).padStart(2, '0')];
  if (whole >= 3600) return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
  return whole >= 60 ? `${Math.floor(whole / 60)} min ${two(whole % 60)} s` : `${whole} s`;
}

async function tellNeeds(config: TrainConfig, out: Stream): Promise<void> {
  using opened = await prepareModel(config, { values: false });
  const { maxLength, batchSize, recompute, cacheGigabytes } = config;
  const needs = estimateMemory(opened.model, { batchSize, maxLength, recompute, cacheBytes: cacheGigabytes * 1e9 });
  const { parameters, trained, ...bytes } = needs;
  const number = (count: number) => count.toLocaleString('en');
  const rows = [
    ['parameters', number(parameters)],
    ['trained', number(trained)],
    ...Object.entries(bytes).map(([name, size]) => [name, formatBytes(size)]),
    ['samples', number(config.steps * config.batchSize * config.accumulation)],
  ];
  out.write(`${formatTable(rows)}\n`);
}
