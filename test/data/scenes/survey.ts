/** Looks at thousands of scenes and samples, in a process of its own, and prints what was seen as JSON: for tasks.test.ts. */
import { faultsOf } from '../../../lib/data/sample';
import { splitNames } from '../../../lib/data/scenes/key';
import { makeScene } from '../../../lib/data/scenes/scene';
import { sceneSample } from '../../../lib/data/scenes/scene_dataset';
import { taskNames } from '../../../lib/data/scenes/tasks';
import { rleArea } from '../../../lib/image/rle';

/** What was seen of a split. */
export interface Seen {
  /** `red car`, of the things that are there; of those that are held out. */
  readonly pairs: readonly string[];
  readonly heldOut: readonly string[];
  readonly faults: readonly string[];
  readonly smallestMask: number;
  readonly words: readonly string[];
  /** Words of the answers, by task, in order of size. */
  readonly lengths: Readonly<Record<string, readonly number[]>>;
  /** All that is asked and answered. */
  readonly texts: readonly string[];
}

const count = Number(process.argv[2]);

function survey(split: (typeof splitNames)[number]): Seen {
  const [pairs, heldOut, words, texts] = [new Set<string>(), new Set<string>(), new Set<string>(), [] as string[]];
  const lengths = Object.fromEntries(taskNames.map((task) => [task, [] as number[]]));
  const faults: string[] = [];
  let smallestMask = Number.POSITIVE_INFINITY;
  for (let index = 0; index < count; index++) {
    const scene = makeScene({ seed: 9, split, index, size: 128 });
    for (const { color, kind, isHeldOut } of scene.things) (isHeldOut ? heldOut : pairs).add(`${color} ${kind}`);
    const task = taskNames[index % taskNames.length] as (typeof taskNames)[number];
    const sample = sceneSample(scene, [task]);
    for (const { field, reason } of faultsOf(sample)) faults.push(`${sample.id}: ${field} ${reason}`);
    for (const mask of sample.masks) smallestMask = Math.min(smallestMask, rleArea(mask));
    for (const { question, answer } of sample.conversation) {
      texts.push(question, answer);
      const plain = answer.replace(/<p> | <\/p> \[SEG\]/g, '');
      lengths[task]?.push(plain.split(' ').length);
      for (const word of `${question} ${plain}`.toLowerCase().match(/[a-z]+/g) ?? []) words.add(word);
    }
  }
  for (const list of Object.values(lengths)) list.sort((a, b) => a - b);
  return { pairs: [...pairs], heldOut: [...heldOut], faults, smallestMask, words: [...words], lengths, texts };
}

process.stdout.write(JSON.stringify(Object.fromEntries(splitNames.map((split) => [split, survey(split)]))));
