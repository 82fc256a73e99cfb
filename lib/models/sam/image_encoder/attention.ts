import type { Dtype } from '../../../native';
import { Linear, Module, parameter } from '../../../nn';
import { zeros } from '../../../ops/fill';
import { reshape } from '../../../ops/reshape';
import { samAttentionPacked } from '../../../ops/sam_attention';
import type { Tensor } from '../../../tensor/tensor';
import { gridSize, type SamConfig } from '../config';

/** Attention over the whole map, or over square windows of it, with decomposed relative position. */
export class SamAttention extends Module {
  readonly qkv: Linear;
  readonly proj: Linear;
  /** `[2 side - 1, headDim]`, from a key `side - 1` rows below the query to one as far above. */
  readonly relPosH: Tensor;
  /** As `relPosH`, of columns. */
  readonly relPosW: Tensor;
  readonly #heads: number;
  /** Tokens a side; undefined: the whole map. */
  readonly #window: number | undefined;

  constructor(config: SamConfig, window: number | undefined, dtype: Dtype) {
    super();
    const { dim, heads } = config;
    const side = window ?? gridSize(config);
    this.qkv = new Linear(dim, 3 * dim, { dtype });
    this.proj = new Linear(dim, dim, { dtype });
    this.relPosH = parameter([2 * side - 1, dim / heads], dtype);
    this.relPosW = parameter([2 * side - 1, dim / heads], dtype);
    this.#heads = heads;
    this.#window = window;
  }

  /** `[batch, height, width, dim]` to the same, added to `residual`. */
  forward(x: Tensor, residual: Tensor): Tensor {
    const [batch, height, width, dim] = x.shape as [number, number, number, number];
    const qkv = reshape(this.qkv.forward(x), [batch, height * width, 3 * dim]);
    // What fills up windows are tokens of zeros, whose keys and values are the bias.
    const padded = this.#window === undefined ? {} : { window: this.#window, padding: this.qkv.bias };
    const y = samAttentionPacked(qkv, this.relPosH, this.relPosW, { heads: this.#heads, height, width, ...padded });
    return this.proj.forward(reshape(y, x.shape), residual);
  }

  protected override reset(): void {
    this.replace('relPosH', zeros(this.relPosH.shape, this.relPosH.dtype));
    this.replace('relPosW', zeros(this.relPosW.shape, this.relPosW.dtype));
  }
}
