/** Scenes as samples: which scene, which task and which words follow from the number of the sample and the seed. */
import { expectKnown } from '../../checks';
import { ArgumentError } from '../../errors';
import { type Dataset, expectIndex, type Sample } from '../sample';
import { Chance } from './chance';
import { expectSceneKey, type SceneKey, type SplitName, splitNames } from './key';
import { makeScene, type Scene } from './scene';
import { namingTasks, type TaskName, taskNames, tasks } from './tasks';
import { Dialogue } from './wording';

export interface SceneDatasetOptions {
  readonly split: SplitName;
  readonly seed: number;
  /** Pixels of a side; default 256. */
  readonly size?: number;
  /** How often each is asked for, beside the others; default all of `taskNames` the same. */
  readonly tasks?: Readonly<Partial<Record<TaskName, number>>>;
  /** Tasks of a sample, whose turns follow one another; default 1. */
  readonly together?: number;
  /** Default true. False: answers to questions that name their targets have no phrases, as before the unified SegCap format. */
  readonly segcap?: boolean;
}

/** Scenes of a split; those of `train` never end. */
export const splitLengths: Readonly<Record<SplitName, number>> = { train: 2 ** 31, val: 1000, test: 2000, unseen: 1000 };

/** What hashes are for. */
const [forTask, forWords] = [21, 22];
const names = Object.keys(tasks) as readonly TaskName[];

/** Sample `index` is of scene `index`. Its picture is drawn by the loader's threads, from what the scene follows from. */
export class SceneDataset implements Dataset {
  readonly name: string;
  readonly length: number;
  readonly #options: Required<SceneDatasetOptions>;
  readonly #weights: readonly number[];
  #turn = Promise.resolve();

  /** @throws ArgumentError for a task that there is not, weights that are none, no task in a sample, a split, seed or size that is none. */
  constructor(options: SceneDatasetOptions) {
    expectKnown('scenes', options, ['split', 'seed', 'size', 'tasks', 'together', 'segcap'] satisfies (keyof SceneDatasetOptions)[]);
    const { split, seed, size = 256, tasks: weights, together = 1, segcap = true } = options;
    expectSceneKey({ split, seed, index: 0, size });
    const given = weights ?? Object.fromEntries(taskNames.map((name) => [name, 1]));
    for (const [name, weight] of Object.entries(given)) {
      if (!Object.hasOwn(tasks, name)) throw new ArgumentError(`scenes: tasks has ${name}, expected ${names.join(', ')}`);
      if (!(Number.isFinite(weight) && weight >= 0))
        throw new ArgumentError(`scenes: tasks.${name} is ${String(weight)}, expected a number, 0 or more`);
    }
    this.#weights = names.map((name) => given[name] ?? 0);
    if (this.#weights.every((weight) => weight === 0))
      throw new ArgumentError('scenes: tasks has no weight above 0, expected at least one');
    if (!(Number.isInteger(together) && together > 0))
      throw new ArgumentError(`scenes: together is ${String(together)}, expected a whole number above 0`);
    this.#options = { split, seed, size, tasks: given, together, segcap };
    this.name = `scenes of ${split}, seed ${seed}`;
    this.length = splitLengths[split];
  }

  async get(index: number): Promise<Sample> {
    expectIndex(this, index);
    const { split, seed, size, together, segcap } = this.#options;
    const chance = new Chance(forTask, seed, splitNames.indexOf(split), index);
    const chosen = Array.from({ length: together }, () => names[chance.weighted(this.#weights)] as TaskName);
    // Scenes that are asked for together are made one a turn: what waits for immediates by itself would come all at once.
    this.#turn = this.#turn.then(() => new Promise((resolve) => setImmediate(resolve)));
    await this.#turn;
    return sceneSample(makeScene({ split, seed, index, size }), chosen, { segcap });
  }
}

/** The sample of a task, or of several one after another, that a scene gives: always the same. */
export function sceneSample(
  scene: Scene,
  chosen: readonly TaskName[],
  { segcap = true }: Pick<SceneDatasetOptions, 'segcap'> = {},
): Sample {
  const { key } = scene;
  const words = chosen.map((task) => names.indexOf(task));
  const dialogue = new Dialogue(scene, new Chance(forWords, key.seed, splitNames.indexOf(key.split), key.index, ...words));
  for (const task of chosen) {
    dialogue.hasPhrases = segcap || !namingTasks.has(task);
    tasks[task](dialogue);
  }
  const task = chosen.join('+');
  const { conversation, masks } = dialogue;
  return { id: `${nameOf(key)}-${task}`, image: { scene: key }, conversation, masks, task };
}

/** `train-1-42`: what a scene is called in files. */
export const nameOf = ({ split, seed, index }: SceneKey): string => `${split}-${seed}-${index}`;
