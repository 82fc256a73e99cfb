/**
 * What patches of CLIP tell of made-up scenes, by heads that are thrown away: all that questions will be about, so that a language
 * model finds it where it looks. Answers alone teach a tower little: one of a word says something of few of its patches.
 */
import { type FactName, factNames, factSizes, labelFacts } from '../data/scenes/label_facts';
import { makeScene } from '../data/scenes/scene';
import type { RgbImage } from '../image/decode';
import type { MglmmForCausalLM } from '../models/mglmm/model';
import { Linear, Module } from '../nn';
import { add } from '../ops/add';
import { zeros } from '../ops/fill';
import { gatherRows } from '../ops/gather_rows';
import { linearCrossEntropy } from '../ops/linear_cross_entropy';
import { reshape } from '../ops/reshape';
import { scale } from '../ops/scale';
import { tensor } from '../tensor/create';
import type { Tensor } from '../tensor/tensor';
import type { Item } from './micro_batch';
import { type Chance, patchPlace, pick } from './regions';

/** A layer of zeros: what it is behind does not change before it has learned what to ask for. */
class Asking extends Linear {
  protected override reset(): void {
    this.replace('weight', zeros(this.weight.shape, this.weight.dtype));
  }
}

/** A linear layer for each of `factNames`, from LLaMA's tokens. */
export class SceneHeads extends Module {
  readonly facts: readonly Linear[];

  constructor({ config, model }: MglmmForCausalLM) {
    super();
    this.facts = factNames.map((name) => new Asking(config.llama.dim, factSizes[name], { dtype: model.dtype, bias: false }));
  }
}

/** What a fact counts beside the others. */
const shares: Readonly<Partial<Record<FactName, number>>> = { kind: 1, color: 1, pattern: 1.5, part: 1, number: 0.7, groupNumber: 0.5 };
const shareOfEnds = 0.3;

/** Pixels of a patch that are looked at, and how often a thing is asked about where there is one: all else is much the same. */
const [looks, thingShare] = [8, 0.85];

/**
 * @param patches - `[items, patches, dim]`, of `encodeImage`.
 * @returns f32 `[]`: cross entropies in nats, weighed and added up, of facts of what patches show, by chance one of the labels of each;
 *   none where no item is a scene.
 */
export function sceneLoss(heads: SceneHeads, items: readonly Item[], patches: Tensor, chance: Chance): Tensor | undefined {
  const [pictures, count, dim] = patches.shape as [number, number, number];
  const asked = factNames.map(() => ({ rows: [] as number[], classes: [] as number[] }));
  for (const [picture, { example, image }] of items.entries()) {
    const source = example.sample.image;
    if (typeof source !== 'object') continue;
    const scene = makeScene(source.scene);
    const facts = labelFacts(scene);
    for (let patch = 0; patch < count; patch++) {
      const seen = new Set<number>();
      for (let look = 0; look < looks; look++) {
        const { x, y } = patchPlace(image as RgbImage, Math.sqrt(count), patch, chance);
        seen.add(scene.labels[y * scene.width + x] as number);
      }
      const all = [...seen].map((label) => facts.get(label) ?? {});
      const things = all.filter(({ color }) => color !== undefined);
      const from = things.length > 0 && chance() < thingShare ? things : all;
      const told = from[pick(from.length, chance)] as (typeof all)[number];
      for (const [i, name] of factNames.entries()) {
        const found = told[name];
        if (found === undefined) continue;
        asked[i]?.rows.push(picture * count + patch);
        asked[i]?.classes.push(found);
      }
    }
  }
  const states = reshape(patches, [pictures * count, dim]);
  const losses = factNames.flatMap((name, i) => {
    const { rows, classes } = asked[i] as (typeof asked)[number];
    if (rows.length === 0) return [];
    const [at, labels] = [rows, classes].map((of) => tensor(of, [of.length], 'i32')) as [Tensor, Tensor];
    const { loss } = linearCrossEntropy(gatherRows(states, at), (heads.facts[i] as Linear).weight, labels);
    return [scale(loss, shares[name] ?? shareOfEnds)];
  });
  return losses.length > 0 ? losses.reduce(add) : undefined;
}
