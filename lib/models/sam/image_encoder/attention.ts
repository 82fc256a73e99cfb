import type { Dtype } from '../../../native';
import { Linear, Module, parameter } from '../../../nn';
import { zeros } from '../../../ops/fill';
import { reshape } from '../../../ops/reshape';
import { samAttentionPacked } from '../../../ops/sam_attention';
import { windowPartition, windowUnpartition } from '../../../ops/window_partition';
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
    if (this.#window === undefined) return this.proj.forward(this.attend(x), residual);
    const [, height, width] = x.shape as [number, number, number, number];
    // The zeros that fill up windows are tokens as others; they are gone before the projection, which spares it a sixth.
    return this.proj.forward(windowUnpartition(this.attend(windowPartition(x, this.#window)), height, width), residual);
  }

  /** `[maps, height, width, dim]` to the same, each map by itself. */
  private attend(x: Tensor): Tensor {
    const [maps, height, width, dim] = x.shape as [number, number, number, number];
    const qkv = this.qkv.forward(reshape(x, [maps, height * width, dim]));
    const y = samAttentionPacked(qkv, this.relPosH, this.relPosW, { heads: this.#heads, height, width });
    return reshape(y, [maps, height, width, dim]);
  }

  protected override reset(): void {
    this.replace('relPosH', zeros(this.relPosH.shape, this.relPosH.dtype));
    this.replace('relPosW', zeros(this.relPosW.shape, this.relPosW.dtype));
  }
}
