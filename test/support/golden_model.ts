/** Goldens of whole models: a folder with config.json, and tensors whose tolerances are named in it. */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Tensor } from '../../lib';
import { assertWithin } from './close';
import { goldenFolder, listFolders, readSafetensors, type StoredTensor, toTensor } from './golden';

/** |a - b| <= atol + atol_rel_max * max|expected tensor| + rtol * |b|; what is missing is 0. */
export interface GoldenTolerance {
  atol?: number;
  atol_rel_max?: number;
  rtol?: number;
}

export interface ModelGolden {
  name: string;
  folder: string;
  config: Record<string, unknown>;
  inputs: Map<string, StoredTensor>;
  expected: Map<string, StoredTensor>;
}

/** The golden folders whose config.json `matches`, with their inputs and expected tensors. There must be one. */
export function modelGoldens(matches: (config: Record<string, unknown>) => boolean): ModelGolden[] {
  const found = listFolders(goldenFolder).flatMap((name) => {
    const folder = join(goldenFolder, name);
    const path = join(folder, 'config.json');
    if (!existsSync(path) || !existsSync(join(folder, 'expected.safetensors'))) return [];
    const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, unknown>;
    if (!matches(config)) return [];
    const read = (file: string) => readSafetensors(join(folder, file));
    return [{ name, folder, config, inputs: read('inputs.safetensors'), expected: read('expected.safetensors') }];
  });
  assert.ok(found.length > 0, `no golden under ${goldenFolder}`);
  return found;
}

/** Tensors of a safetensors file by name, ready for `Module.load`. */
export const stateOf = (path: string): Map<string, Tensor> =>
  new Map([...readSafetensors(path)].map(([name, stored]) => [name, toTensor(stored)]));

/** `keep` chooses the elements that count, by index. */
export async function expectGolden(
  name: string,
  actual: Tensor | undefined,
  expected: StoredTensor | undefined,
  tolerance: GoldenTolerance | undefined,
  keep: (index: number) => boolean = () => true,
): Promise<void> {
  assert.ok(expected, `${name} is not in the golden`);
  assert.ok(actual, `${name} is missing`);
  assert.ok(tolerance, `${name} has no tolerance`);
  assert.deepEqual(actual.shape, expected.shape, `${name}: shape`);
  const { atol = 0, atol_rel_max: relative = 0, rtol = 0 } = tolerance;
  const kept = (values: ArrayLike<number>) => Array.from(values).filter((_, index) => keep(index));
  const wanted = kept(expected.values);
  const largest = wanted.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  assertWithin(kept(await actual.read()), wanted, (value) => atol + relative * largest + rtol * Math.abs(value), actual, name);
}
