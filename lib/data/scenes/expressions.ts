/** Words for one thing among others, of which it is checked that they fit no other. */
import type { Chance } from './chance';
import type { Scene, SceneThing } from './scene';
import { lookOf, middleOf } from './wording';

/** Whether words fit a thing; `unclear` where people might not agree. */
type Fit = 'yes' | 'no' | 'unclear';
type Test = (thing: SceneThing) => Fit;

export interface Expression {
  /** `the red car left of the tree`. */
  readonly text: string;
  readonly thing: SceneThing;
}

export interface ExpressionOptions {
  /** What must not be said, because it is asked for. */
  readonly without?: 'color' | 'pattern';
  /** Without places: short, as names in longer sentences. */
  readonly isShort?: boolean;
}

const sure = (yes: boolean): Fit => (yes ? 'yes' : 'no');
const within = (value: number, yes: number, no: number): Fit => (value > yes ? 'yes' : value < no ? 'no' : 'unclear');
const both =
  (tests: readonly Test[]): Test =>
  (thing) => {
    const fits = tests.map((test) => test(thing));
    return fits.includes('no') ? 'no' : fits.includes('unclear') ? 'unclear' : 'yes';
  };

/** @returns undefined where no words are good enough. */
export function expressionFor(scene: Scene, thing: SceneThing, chance: Chance, options: ExpressionOptions = {}): Expression | undefined {
  const nouns = nounsOf(thing, options);
  const fitting: { text: string; weight: number }[] = [];
  for (const noun of nouns) {
    if (isUnique(scene, thing, noun.test)) fitting.push({ text: `the ${noun.text}`, weight: options.isShort ? 1 : 1.2 });
    if (options.isShort) continue;
    for (const place of placesOf(scene, thing)) {
      if (isUnique(scene, thing, both([noun.test, place.test]))) fitting.push({ text: `the ${noun.text} ${place.text}`, weight: 0.5 });
    }
    const [most] = extremesOf(
      scene,
      thing,
      scene.things.filter((other) => other === thing || noun.test(other) === 'yes'),
    );
    if (most) fitting.push({ text: `the ${most} ${noun.text}`, weight: 0.8 });
  }
  if (options.isShort) fitting.splice(1); // the fewest words
  if (fitting.length === 0) return undefined;
  const found = fitting[chance.weighted(fitting.map(({ weight }) => weight))] as { text: string };
  return { text: found.text, thing };
}

function isUnique(scene: Scene, thing: SceneThing, test: Test): boolean {
  return scene.things.every((other) => test(other) === (other === thing ? 'yes' : 'no'));
}

/** From the shortest on. */
function nounsOf({ kind, color, pattern }: SceneThing, { without }: ExpressionOptions): { text: string; test: Test }[] {
  const looks: Partial<Pick<SceneThing, 'color' | 'pattern'>>[] = [{}, { color }];
  if (pattern && kind !== 'person') looks.push({ pattern });
  if (pattern) looks.push({ pattern, color });
  return looks
    .filter((look) => without === undefined || look[without] === undefined)
    .map((look) => ({
      text: lookOf({ kind, ...look }),
      test: (other) =>
        sure(
          other.kind === kind &&
            (look.color === undefined || other.color === look.color) &&
            (look.pattern === undefined || other.pattern === look.pattern),
        ),
    }));
}

/** Sides of the picture that the thing is on. */
export function sidesOf(scene: Scene, thing: SceneThing): { text: string; test: Test }[] {
  const x = (other: SceneThing) => middleOf(other, scene)[0];
  if (x(thing) < 0.36) return [{ text: 'on the left', test: (other) => within(0.44 - x(other), 0.08, 0) }];
  if (x(thing) > 0.64) return [{ text: 'on the right', test: (other) => within(x(other) - 0.56, 0.08, 0) }];
  if (x(thing) < 0.42 || x(thing) > 0.58) return [];
  return [{ text: 'in the middle', test: (other) => within(0.16 - Math.abs(x(other) - 0.5), 0.08, 0) }];
}

/** Places that are true of the thing. */
function placesOf(scene: Scene, thing: SceneThing): { text: string; test: Test }[] {
  const [x, y] = middleOf(thing, scene);
  const at = (other: SceneThing) => middleOf(other, scene);
  const places = sidesOf(scene, thing);
  for (const mark of scene.things) {
    if (mark === thing || mark.kind === thing.kind) continue;
    const name = [mark.kind, lookOf({ kind: mark.kind, color: mark.color })].find((_, i) =>
      scene.things.every((other) => other === mark || other.kind !== mark.kind || (i === 1 && other.color !== mark.color)),
    );
    if (name === undefined) continue;
    const [markX, markY] = at(mark);
    if (thing.on === mark.id) {
      places.push({ text: `on the ${name}`, test: (other) => sure(other.on === mark.id) });
      continue;
    }
    if (markX - x > 0.1 && Math.abs(markY - y) < 0.3)
      places.push({ text: `left of the ${name}`, test: (other) => (other === mark ? 'no' : within(markX - at(other)[0], 0.1, 0.02)) });
    if (x - markX > 0.1 && Math.abs(markY - y) < 0.3)
      places.push({ text: `right of the ${name}`, test: (other) => (other === mark ? 'no' : within(at(other)[0] - markX, 0.1, 0.02)) });
    if (markY - y > 0.2 && Math.abs(markX - x) < 0.22)
      places.push({ text: `above the ${name}`, test: (other) => (other === mark ? 'no' : within(markY - at(other)[1], 0.2, 0.04)) });
  }
  return places;
}

/** `leftmost` and the like, of a thing among several. */
export function extremesOf(scene: Scene, thing: SceneThing, among: readonly SceneThing[]): string[] {
  const others = among.filter((other) => other !== thing);
  if (others.length === 0) return [];
  const [x] = middleOf(thing, scene);
  const is = {
    leftmost: (other: SceneThing) => middleOf(other, scene)[0] - x > 0.08,
    rightmost: (other: SceneThing) => x - middleOf(other, scene)[0] > 0.08,
    largest: ({ area }: SceneThing) => thing.area > 1.5 * area,
    smallest: ({ area }: SceneThing) => thing.area * 1.5 < area,
  };
  return Object.entries(is).flatMap(([name, beats]) => (others.every(beats) ? [name] : []));
}
