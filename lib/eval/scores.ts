/** Scores of records: a row a task. docs/evaluation.md says which metrics belong to which task, and why. */
import { captionTokenizer } from '../metrics/caption_tokens';
import { sharedWords } from '../metrics/texts';
import type { RepairKind } from '../text/segcap';
import type { AnsweredTurn, SampleRecord } from './record';
import { type Scorer, type ScoringOptions, scorerOf } from './scorers';

export interface TaskScores {
  /** A task, two together (`multiple + empty`), or a part of one (`mgsc: parts`). */
  readonly task: string;
  readonly turns: number;
  /** From 0 to 1, CIDEr from 0 to 10. */
  readonly metrics: Readonly<Record<string, number>>;
}

export interface EvaluationScores {
  readonly captionTokenizer: string;
  /** The name of the function that compared phrases. */
  readonly similarity: string;
  /** Samples in the scores; those with a fault are not. */
  readonly samples: number;
  readonly faults: number;
  readonly turns: number;
  /** Questions that the model refused: scored as if it had said nothing. */
  readonly unanswered: number;
  /** Answers that ended because they had no room for more. */
  readonly cut: number;
  /** Answers that were not in the form they should have, and why. */
  readonly malformed: number;
  readonly repairs: Readonly<Partial<Record<RepairKind, number>>>;
  readonly tasks: readonly TaskScores[];
}

/** Questions of the coarsest granularity, in MGSC's words and those of the scenes. */
const ofTheScene = /\b(everything|all (the )?(objects|things))\b/i;

/** Rows that a turn belongs to, beside that of its task. */
function rowsOf(task: string, { question }: AnsweredTurn): string[] {
  if (task === 'multiple' || task === 'empty') return [task, 'multiple + empty'];
  if (task === 'mgsc') return [task, ofTheScene.test(question) ? 'mgsc: scene' : 'mgsc: parts'];
  return [task];
}

/** More samples than a data set has. */
const partSpan = 2 ** 32;

/** Scores of all records. */
export async function scoresOf(
  records: AsyncIterable<SampleRecord> | Iterable<SampleRecord>,
  { similarity = sharedWords, categories }: ScoringOptions = {},
): Promise<EvaluationScores> {
  const rows = new Map<string, { scorer: Scorer; turns: number }>();
  const counts = { samples: 0, faults: 0, turns: 0, unanswered: 0, cut: 0, malformed: 0 };
  const repairs: Partial<Record<RepairKind, number>> = {};
  for await (const { part, index, task, size, turns, fault } of records) {
    const hasMasks = turns.some(({ truthMasks }) => truthMasks.length > 0);
    if (fault !== undefined) {
      counts.faults++;
      continue;
    }
    counts.samples++;
    for (const turn of turns) {
      counts.turns++;
      if (turn.error !== undefined) counts.unanswered++;
      if (turn.finish === 'length') counts.cut++;
      if (turn.repairs.length > 0) counts.malformed++;
      for (const kind of new Set(turn.repairs)) repairs[kind] = (repairs[kind] ?? 0) + 1;
      for (const name of rowsOf(task, turn)) {
        const row = rows.get(name) ?? { scorer: scorerOf(task, hasMasks, { similarity, categories }), turns: 0 };
        rows.set(name, row);
        row.scorer.add(turn, size, part * partSpan + index);
        row.turns++;
      }
    }
  }
  const tasks: TaskScores[] = [];
  for (const [task, { scorer, turns }] of rows) tasks.push({ task, turns, metrics: await scorer.metrics() });
  const order = (task: string) => (known.indexOf(task) < 0 ? known.length : known.indexOf(task));
  tasks.sort((a, b) => order(a.task) - order(b.task) || a.task.localeCompare(b.task));
  return { captionTokenizer, similarity: similarity.name, ...counts, repairs, tasks };
}

/** In the order of the paper's table of abilities. */
const known =
  'caption,conversation,refer,semantic,instance,panoptic,multiple,empty,multiple + empty,reason,gcg,mgsc,mgsc: scene,mgsc: parts'.split(
    ',',
  );
