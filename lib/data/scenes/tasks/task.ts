import { expressionFor } from '../expressions';
import type { Scene, SceneThing } from '../scene';
import { type Dialogue, partGroups, type Shown } from '../wording';

/** Asks and answers about the scene of `dialogue`, at least one turn. */
export type Task = (dialogue: Dialogue) => void;

/** Words for something in the scene, and what it is. */
export interface Target {
  readonly text: string;
  readonly of: readonly Shown[];
}

/** What is asked about: where pairs of colour and kind are tested that were never seen, things of such pairs. */
export function subjectsOf({ key, things }: Scene): readonly SceneThing[] {
  return key.split === 'unseen' ? things.filter(({ isHeldOut }) => isHeldOut) : things;
}

/** Things and parts by words that fit nothing else, in an order of chance. Never empty. */
export function targetsOf({ scene, chance }: Dialogue, { parts }: { readonly parts: number }): Target[] {
  const targets = chance.shuffled(subjectsOf(scene)).flatMap((thing): Target[] => {
    const found = expressionFor(scene, thing, chance);
    if (!found) return [];
    const part = chance.is(parts) ? chance.shuffled(partGroups(thing, scene.leastArea))[0] : undefined;
    if (!part) return [{ text: found.text, of: [thing] }];
    const isPossessive = chance.is(0.35) && found.text.endsWith(thing.kind);
    return [{ text: isPossessive ? `${found.text}'s ${part.name}` : `the ${part.name} of ${found.text}`, of: [part] }];
  });
  return targets.length > 0 ? targets : [everyOne(scene, chance.pick(subjectsOf(scene)))];
}

/** All things of a kind together. */
export function everyOne(scene: Scene, { kind, plural }: SceneThing): Target {
  const of = scene.things.filter((thing) => thing.kind === kind);
  return { text: of.length === 1 ? `the ${kind}` : `all the ${plural}`, of };
}
