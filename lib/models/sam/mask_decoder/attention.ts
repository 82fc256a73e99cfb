/** The attention of SAM's mask decoder. */
import type { Dtype } from '../../../native';
import { Linear, Module } from '../../../nn';
import { add } from '../../../ops/add';
import { attention } from '../../../ops/attention';
import { concat } from '../../../ops/concat';
import { matmul } from '../../../ops/matmul';
import { permute } from '../../../ops/permute';
import { reshape } from '../../../ops/reshape';
import { scale } from '../../../ops/scale';
import { softmax } from '../../../ops/softmax';
import type { Tensor } from '../../../tensor/tensor';
import type { SamConfig } from '../config';

/** `x` `count` times along its first axis, of size 1. */
export const repeat = (x: Tensor, count: number): Tensor => (count === 1 ? x : concat(new Array<Tensor>(count).fill(x), 0));

type Size3 = readonly [number, number, number];

/**
 * Attention in `inner` dimensions, and back. Where few tokens of a mask meet the many of an image, the projections of the image's
 * side are taken over to the few: `q . (W x)` is `(W^T q) . x`, and `sum p (W x)` is `W (sum p x)`, so that the image is read as
 * it is, with two thin products in the place of two projections.
 */
export class DecoderAttention extends Module {
  readonly qProj: Linear;
  readonly kProj: Linear;
  readonly vProj: Linear;
  readonly outProj: Linear;
  readonly #heads: number;
  readonly #headDim: number;

  constructor({ promptDim, decoderHeads }: SamConfig, inner: number, dtype: Dtype) {
    super();
    this.qProj = new Linear(promptDim, inner, { dtype });
    this.kProj = new Linear(promptDim, inner, { dtype });
    this.vProj = new Linear(promptDim, inner, { dtype });
    this.outProj = new Linear(inner, promptDim, { dtype });
    this.#heads = decoderHeads;
    this.#headDim = inner / decoderHeads;
  }

  /**
   * @param q - `[masks or 1, queries, promptDim]`; 1 serves all masks.
   * @param k - `[masks or 1, keys, promptDim]`; 1 serves all masks.
   * @param v - shape of `k`.
   * @returns `[masks, queries, promptDim]`.
   */
  forward(q: Tensor, k: Tensor, v: Tensor): Tensor {
    const [[given, queries], [images, keys]] = [q.shape as Size3, k.shape as Size3];
    if (this.isFew(queries * Math.max(1, given / images), keys)) return this.readByFew(q, k, v);
    if (this.isFew(keys, queries)) return this.writeByFew(q, k, v);
    const masks = Math.max(given, images);
    const heads = (x: Tensor, tokens: number) => reshape(x, [images, tokens, this.#heads, this.#headDim]);
    // Queries do not see each other: those of all masks to the keys of one image are one batch.
    const y = attention(
      heads(repeat(this.qProj.forward(q), masks / given), (masks * queries) / images),
      heads(this.kProj.forward(k), keys),
      heads(this.vProj.forward(v), keys),
      { tokensFirst: true },
    );
    return this.outProj.forward(reshape(y, [masks, queries, this.#heads * this.#headDim]));
  }

  /** Its weights stay in rows, as {@link forward} takes them apart by heads. */
  override pack(): this {
    return this;
  }

  /** Whether meeting `many` tokens once a head and one of `few` costs less than projecting them. */
  private isFew(few: number, many: number): boolean {
    const rows = this.#heads * few;
    return rows <= this.#heads * this.#headDim && rows < many;
  }

  /** Few queries, many keys. A bias of the keys adds one number to all scores of a query, which its softmax does not see. */
  private readByFew(q: Tensor, k: Tensor, v: Tensor): Tensor {
    const [[masks, queries], [images]] = [q.shape as Size3, k.shape as Size3];
    const folded = matmul(this.byHead(scale(this.qProj.forward(q), this.#headDim ** -0.5)), this.weightByHead(this.kProj));
    const probabilities = softmax(matmul(this.headsInside(folded, images), k, { transposeB: true }));
    const values = matmul(this.headsOutside(matmul(probabilities, v)), this.weightByHead(this.vProj), { transposeB: true });
    const y = reshape(permute(values, [1, 0, 2]), [masks, queries, this.#heads * this.#headDim]);
    return this.outProj.forward(this.vProj.bias ? add(y, this.vProj.bias) : y);
  }

  /** Many queries, few keys. Probabilities of a head add up to 1, so a share of the output's bias goes with the values of each. */
  private writeByFew(q: Tensor, k: Tensor, v: Tensor): Tensor {
    const [[given, queries, dim], [masks, keys]] = [q.shape as Size3, k.shape as Size3];
    const byHead = this.byHead(scale(this.kProj.forward(k), this.#headDim ** -0.5));
    const folded = this.headsInside(matmul(byHead, this.weightByHead(this.qProj)), masks);
    let scores = matmul(given === 1 ? reshape(q, [queries, dim]) : q, folded, { transposeB: true });
    if (this.qProj.bias) {
      const bias = matmul(byHead, reshape(this.qProj.bias, [this.#heads, this.#headDim, 1]));
      scores = add(scores, reshape(this.headsInside(bias, masks), [masks, 1, this.#heads * keys]));
    }
    const probabilities = softmax(reshape(scores, [masks, queries, this.#heads, keys]));
    const outWeight = permute(reshape(this.outProj.weight, [dim, this.#heads, this.#headDim]), [1, 2, 0]);
    let values = this.headsInside(matmul(this.byHead(this.vProj.forward(v)), outWeight), masks);
    if (this.outProj.bias) values = add(values, scale(this.outProj.bias, 1 / this.#heads));
    return matmul(reshape(probabilities, [masks, queries, this.#heads * keys]), values);
  }

  /** `[masks, tokens, inner]` to `[heads, masks * tokens, headDim]`. */
  private byHead(x: Tensor): Tensor {
    const [masks, tokens] = x.shape as Size3;
    return permute(reshape(x, [masks * tokens, this.#heads, this.#headDim]), [1, 0, 2]);
  }

  /** `[inner, promptDim]` as `[heads, headDim, promptDim]`. */
  private weightByHead({ weight }: Linear): Tensor {
    return reshape(weight, [this.#heads, this.#headDim, weight.shape[1] as number]);
  }

  /** `[heads, batch * rows, dim]` to `[batch, heads * rows, dim]`. */
  private headsInside(x: Tensor, batch: number): Tensor {
    const [heads, all, dim] = x.shape as Size3;
    const rows = all / batch;
    return reshape(permute(reshape(x, [heads, batch, rows, dim]), [1, 0, 2, 3]), [batch, heads * rows, dim]);
  }

  /** Undoes {@link headsInside}. */
  private headsOutside(x: Tensor): Tensor {
    const [batch, all, dim] = x.shape as Size3;
    const rows = all / this.#heads;
    return reshape(permute(reshape(x, [batch, this.#heads, rows, dim]), [1, 0, 2, 3]), [this.#heads, batch * rows, dim]);
  }
}
