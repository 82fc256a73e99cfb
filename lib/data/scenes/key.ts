/** What a scene follows from. */
import { ArgumentError } from '../../errors';

export const splitNames = ['train', 'val', 'test', 'unseen'] as const;
/** `unseen`: with pairs of colour and kind that the others never show. */
export type SplitName = (typeof splitNames)[number];

export interface SceneKey {
  readonly seed: number;
  readonly split: SplitName;
  readonly index: number;
  /** Pixels of a side; what is in the scene does not depend on it. */
  readonly size: number;
}

/** Least and most. */
export const sceneSizes = [32, 2048] as const;

/** @throws ArgumentError for a key that is none. */
export function expectSceneKey({ seed, split, index, size }: SceneKey): void {
  const expectWhole = (name: string, value: number, least: number, most: number) => {
    if (!(Number.isInteger(value) && value >= least && value <= most))
      throw new ArgumentError(`scene: ${name} is ${String(value)}, expected a whole number, ${least} to ${most}`);
  };
  expectWhole('seed', seed, 0, 2 ** 32 - 1);
  expectWhole('index', index, 0, 2 ** 32 - 1);
  expectWhole('size', size, ...sceneSizes);
  if (!splitNames.includes(split)) throw new ArgumentError(`scene: split is ${JSON.stringify(split)}, expected ${splitNames.join(', ')}`);
}
