/** Colours of masks, the same wherever a mask or its phrase is shown. */
import { shown } from '../checks';
import { ArgumentError } from '../errors';

const goldenAngle = 137.508; // in degrees: each new hue falls into the largest gap that is left
const first = 210;

/** Red, green and blue of the mask with this index, 0 to 255; neighbours are far apart. @throws ArgumentError for no index. */
export function maskColor(index: number): [red: number, green: number, blue: number] {
  if (!(Number.isInteger(index) && index >= 0))
    throw new ArgumentError(`maskColor: index is ${shown(index)}, expected a whole number, 0 or more`);
  const hue = (first + index * goldenAngle) % 360;
  const lightness = [0.55, 0.45, 0.65][index % 3] as number;
  const reach = 0.85 * Math.min(lightness, 1 - lightness);
  const channel = (offset: number) => {
    const position = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - reach * Math.max(-1, Math.min(position - 3, 9 - position, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}
