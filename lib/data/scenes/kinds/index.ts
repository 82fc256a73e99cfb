/** All kinds of things. Their order is that of class numbers. */
import { animals } from './animals';
import { buildings } from './buildings';
import { furniture } from './furniture';
import type { Kind } from './kind';
import { people } from './people';
import { plants } from './plants';
import { smallThings } from './small_things';
import { vehicles } from './vehicles';

export const kinds: readonly Kind[] = [...buildings, ...vehicles, ...plants, ...animals, ...people, ...furniture, ...smallThings];

/** `people`, of `person`. */
export const pluralOf = ({ name, plural = `${name}s` }: Kind): string => plural;
