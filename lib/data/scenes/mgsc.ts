/** The annotations of a scene as MGSCData has them: a list of conversations, of the whole picture and of things with their parts. */
import { type Rle, rleBox } from '../../image/rle';
import { Chance } from './chance';
import { expressionFor } from './expressions';
import type { Scene } from './scene';
import { nameOf } from './scene_dataset';
import { rootSaid, subtreeSaid } from './tasks/captions';
import { partGroups, type Said } from './wording';

export interface MgscItem {
  readonly label: string;
  /** JSON of `size` and `counts`, these in base64. */
  readonly mask: string;
  /** x, y, width, height. */
  readonly bbox: readonly number[];
}

/** A conversation; besides these fields it has an {@link MgscItem} under each of its keys. */
export interface MgscConversation {
  readonly [key: string]: unknown;
  readonly file_name: string;
  /** `root`, or `subtree: ` and the name of a thing. */
  readonly label: string;
  readonly type: 'root' | 'subtree';
  /** Each phrase in a pair of tags that is named by its key. */
  readonly gcg_caption: string;
  /** Keys, in the order of the caption. */
  readonly gcg_labels: readonly string[];
}

/** Things that are taken apart: the largest, of some size, with several parts, where words mean them alone. */
const [mostSubtrees, leastShare, leastParts] = [5, 0.01, 2];

export function mgscConversations(scene: Scene): MgscConversation[] {
  const taken = scene.things
    .filter((thing) => thing.area >= leastShare * scene.width * scene.height && partGroups(thing, scene.leastArea).length >= leastParts)
    .sort((a, b) => b.area - a.area)
    .slice(0, mostSubtrees);
  const subtrees = taken.flatMap((thing) => {
    const chance = new Chance(scene.key.index, thing.id);
    const found = expressionFor(scene, thing, chance, { isShort: true }) ?? expressionFor(scene, thing, chance);
    return found ? [conversationOf(scene, 'subtree', `subtree: ${found.text}`, subtreeSaid(scene, thing, found.text))] : [];
  });
  return [conversationOf(scene, 'root', 'root', rootSaid(scene)), ...subtrees];
}

function conversationOf(scene: Scene, type: MgscConversation['type'], label: string, said: readonly Said[]): MgscConversation {
  const items: Record<string, MgscItem> = {};
  const caption = said.map((one) => {
    if (typeof one === 'string') return one;
    const [shown] = one.of;
    const name = shown && ('kind' in shown ? shown.kind : shown.name);
    const key = `${name?.replace(/[^a-z]+/g, '_')}_${Object.keys(items).length + 1}`;
    const rle = scene.maskOf(...one.of);
    items[key] = { label: name ?? '', mask: annotationOf(rle), bbox: rleBox(rle) };
    return `<${key}>${one.phrase}</${key}>`;
  });
  return {
    file_name: `${nameOf(scene.key)}.png`,
    label,
    type,
    gcg_caption: caption.join(''),
    gcg_labels: Object.keys(items),
    ...items,
  };
}

const annotationOf = ({ size, counts }: Rle) => JSON.stringify({ size, counts: Buffer.from(counts, 'latin1').toString('base64') });
