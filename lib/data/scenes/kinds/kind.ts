import type { Pen } from '../pen';

export interface Kind {
  /** As one says it: `aeroplane`. */
  readonly name: string;
  /** Default the name and an s. */
  readonly plural?: string;
  /** What it is one of, where one would ask for that: `animal`. */
  readonly group?: Group;
  /** Where it may be: on the ground, up in the sky, on water; `top`: small enough for a table. */
  readonly places: readonly Place[];
  /** Where it is found. */
  readonly settings: 'indoors' | 'outdoors' | 'both';
  /** Least and most, in picture heights, when it stands in front. */
  readonly height: readonly [number, number];
  /** About its width for a height of 1. */
  readonly width: number;
  /** How far it may lean, in 64ths of a turn; default 0. */
  readonly lean?: number;
  /** What it is for, behind `could`: `keep you dry in the rain`. */
  readonly uses: readonly string[];
  /** Names of all parts that it may have, and their plurals where there may be several; those of which there are always several have their own. */
  readonly parts: Readonly<Record<string, string | undefined>>;
  draw(pen: Pen): void;
}

export type Group = 'animal' | 'building' | 'fruit' | 'person' | 'piece of clothing' | 'piece of furniture' | 'plant' | 'toy' | 'vehicle';
export type Place = 'ground' | 'sky' | 'water' | 'top';
