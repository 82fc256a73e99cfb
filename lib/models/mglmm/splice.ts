/** Where the tokens of a text stand once its image token has become an image. */
import { ArgumentError } from '../../errors';
import type { Embedding } from '../../nn';
import { spliceRows } from '../../ops/splice_rows';
import { tensor } from '../../tensor/create';
import { tidy } from '../../tensor/scope';
import type { Tensor } from '../../tensor/tensor';

/** Stands for the image among the ids of a text; never embedded. Liu et al. 2023, arXiv 2304.08485. */
export const imageTokenId = -200;

/**
 * Embeds a batch of texts, with the image of each in the place of its image token.
 * @param ids - as many in each row; either every row has one image token, or none has.
 * @param images - `[batch, imageTokens, dim]`, projected features; none when no row has an image token.
 * @returns `[batch, tokens - 1 + imageTokens, dim]`, or `[batch, tokens, dim]`; differentiable in table and images.
 * @throws ArgumentError when rows differ in length, an image token is missing or one too many.
 */
export function embedWithImages(table: Embedding, ids: readonly (readonly number[])[], images?: Tensor): Tensor {
  const tokens = ids[0]?.length ?? 0;
  const positions = ids.map((row, i) => {
    if (row.length !== tokens) throw new ArgumentError(`embed: row ${i} has ${row.length} ids, expected ${tokens}, as row 0`);
    const found = row.filter((id) => id === imageTokenId).length;
    if (found !== (images ? 1 : 0))
      throw new ArgumentError(
        `embed: row ${i} has ${found} image tokens, expected ${images ? 'one, as an image is given' : 'none, as no image is given'}`,
      );
    return row.indexOf(imageTokenId);
  });
  return tidy(() => {
    // The row of the image token is looked up as any other, then replaced: it gets no gradient.
    const known = Int32Array.from(ids.flat(), (id) => (id === imageTokenId ? 0 : id));
    const text = table.forward(tensor(known, [ids.length, tokens]));
    return images ? spliceRows(text, images, tensor(positions, [ids.length], 'i32')) : text;
  });
}

/**
 * Where, behind the image, the states stand that predict the tokens `id` of a text: each one place before its token.
 * @param imageCount - tokens the image has become.
 */
export function predictingPlaces(ids: readonly number[], id: number, imageCount: number): number[] {
  const image = ids.indexOf(imageTokenId);
  return [...ids.keys()].filter((i) => i > 0 && ids[i] === id).map((i) => i - 1 + (image >= 0 && i - 1 >= image ? imageCount - 1 : 0));
}

/**
 * The labels of a text behind its image: none at the image's tokens.
 * @param ids - with at most one image token.
 * @param labels - as many as ids.
 * @param ignored - the label of what is not learned.
 */
export function labelsWithImage(ids: readonly number[], labels: readonly number[], imageCount: number, ignored: number): number[] {
  const image = ids.indexOf(imageTokenId);
  if (image < 0) return [...labels];
  return [...labels.slice(0, image), ...new Array<number>(imageCount).fill(ignored), ...labels.slice(image + 1)];
}
