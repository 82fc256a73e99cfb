/** The masks of a turn drawn on its picture: those of the truth on one, those of the answer on another, a thing in one colour on both. */
import { maskColor } from '../image/colors';
import type { RgbImage } from '../image/decode';
import { drawOverlay } from '../image/overlay';
import { rleIou } from '../image/rle';
import { largestFirst } from '../metrics/grounding';
import type { AnsweredTurn } from './record';

type Color = ReturnType<typeof maskColor>;

export interface TurnColors {
  readonly truth: readonly Color[];
  readonly answer: readonly Color[];
}

/** Each true mask has a colour of its own, and each mask of the answer that of the true one it covers best, or one that is left. */
export function colorsOf({ truthMasks, segments }: AnsweredTurn): TurnColors {
  const iou = rleIou(
    segments.map(({ segmentation }) => segmentation),
    truthMasks,
  );
  const colors = new Map<number, number>();
  for (const { row, column } of largestFirst(iou)) colors.set(row, column);
  let left = truthMasks.length;
  return { truth: truthMasks.map((_, j) => maskColor(j)), answer: segments.map((_, i) => maskColor(colors.get(i) ?? left++)) };
}

/** Files of JPEG. */
export async function drawTurn(image: RgbImage, turn: AnsweredTurn): Promise<Record<'truth' | 'answer', Uint8Array>> {
  const colors = colorsOf(turn);
  const masks = turn.segments.map(({ segmentation }) => segmentation);
  const draw = (rles: AnsweredTurn['truthMasks'], paint: readonly Color[]) =>
    drawOverlay(
      image,
      rles.map((rle, i) => ({ rle, color: paint[i] })),
      { format: 'jpeg' },
    );
  const [truth, answer] = await Promise.all([draw(turn.truthMasks, colors.truth), draw(masks, colors.answer)]);
  return { truth, answer };
}
