/** The colours that things are said to have, and what they look like. */
import type { Rgb } from './canvas';
import type { Chance } from './chance';

const values = {
  red: [206, 44, 46],
  orange: [240, 134, 32],
  yellow: [246, 212, 58],
  green: [58, 156, 66],
  blue: [44, 96, 204],
  purple: [128, 62, 168],
  pink: [244, 138, 182],
  brown: [128, 78, 40],
  black: [42, 42, 48],
  white: [244, 244, 240],
} satisfies Record<string, Rgb>;

export type ColorName = keyof typeof values;

export const colorNames = Object.keys(values) as readonly ColorName[];

/** A shade of a colour that nobody would call another. */
export function shadeOf(name: ColorName, chance: Chance): Rgb {
  const strength = name === 'white' || name === 'black' ? 0.06 : 0.1;
  const light = chance.between(1 - strength, 1 + strength);
  return tinted(values[name], light, chance.between(-6, 6), chance.between(-6, 6));
}

const tinted = ([red, green, blue]: Rgb, light: number, warm: number, fresh: number): Rgb => [
  red * light + warm,
  green * light + fresh,
  blue * light - warm,
];

/** Towards white, or with a negative share towards black. */
export function lighter([red, green, blue]: Rgb, share: number): Rgb {
  const to = share < 0 ? 0 : 255;
  const part = Math.abs(share);
  return [red + part * (to - red), green + part * (to - green), blue + part * (to - blue)];
}
