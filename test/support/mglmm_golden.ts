/** Goldens of the whole model: its folders, and models with their weights. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  clipPrefix,
  type Dtype,
  layoutOf,
  loadModule,
  MglmmForCausalLM,
  openCheckpoint,
  type Placement,
  parseMglmmConfig,
  rowsView,
  type Tensor,
  under,
} from '../../lib';
import { type StoredTensor, toTensor } from './golden';
import { type GoldenTolerance, type ModelGolden, modelGoldens } from './golden_model';

export interface MglmmGolden extends ModelGolden {
  tolerance: Record<'default' | 'masks' | 'loss' | 'grad' | 'five_step_loss' | 'five_step_parameter_value', GoldenTolerance>;
  segId: number;
  /** The object in expected.json. */
  facts: Record<string, unknown>;
}

export const mglmmGoldens = (): MglmmGolden[] =>
  modelGoldens(({ checkpoint, vision_tower }) => checkpoint !== undefined && vision_tower !== undefined).map((golden) => ({
    ...golden,
    tolerance: golden.config.tolerance as MglmmGolden['tolerance'],
    segId: (golden.config.special_tokens as Record<string, number>)['[SEG]'] as number,
    facts: JSON.parse(readFileSync(join(golden.folder, 'expected.json'), 'utf8')) as Record<string, unknown>,
  }));

const readJson = (path: string): unknown => (existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : undefined);

/** @param form - the checkpoint's folder; default the official one. */
export async function loadGolden(
  { folder, config }: ModelGolden,
  { form = config.checkpoint as string, dtype }: { form?: string; dtype?: Dtype } = {},
): Promise<MglmmForCausalLM> {
  const [path, tower] = [join(folder, form), join(folder, config.vision_tower as string)];
  const [checkpoint, clip] = [await openCheckpoint(path), await openCheckpoint(tower)];
  const layout = layoutOf(checkpoint.names);
  const shapes = new Map(
    checkpoint.names.flatMap((name) => {
      const key = layout.keyOf(name);
      return key === null ? [] : [[key, checkpoint.get(name).shape] as const];
    }),
  );
  const sizes = parseMglmmConfig(readJson(join(path, 'config.json')), { clip: readJson(join(tower, 'config.json')), shapes });
  const model = new MglmmForCausalLM(sizes, { dtype });
  await loadModule(model, [
    { checkpoint, keyOf: layout.keyOf },
    { checkpoint: clip, keyOf: under(clipPrefix, layoutOf(clip.names)).keyOf },
  ]);
  return model;
}

export const idsOf = (stored: StoredTensor): number[][] => {
  const [rows = 0, length = 0] = stored.shape.length === 1 ? [1, ...stored.shape] : stored.shape;
  return Array.from({ length: rows }, (_, row) => Array.from(stored.values.slice(row * length, (row + 1) * length)));
};

export const inputOf = ({ inputs }: ModelGolden, name: string): Tensor => toTensor(inputs.get(name) as StoredTensor);

/** `[1, 3, size, size]`, one of a stack of images. */
export const imageOf = (images: Tensor, index: number): Tensor => rowsView(images, index, index + 1);

export const placementsOf = ({ config }: ModelGolden): Placement[] => {
  const { resize, original } = config.batch as { resize: [number, number][]; original: [number, number][] };
  return resize.map((resized, i) => ({ resized, original: original[i] as [number, number] }));
};
