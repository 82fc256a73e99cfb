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
    const qkv = this.qkv.forward(x);
    if (this.#window === undefined) return this.proj.forward(this.attend(qkv), residual);
    const [, height, width] = x.shape as [number, number, number, number];
    // What fills up windows are tokens of zeros, whose queries, keys and values are the bias. They are attended to as others, but no
    // product has them among its rows, which spares it a sixth.
    const windows = windowPartition(qkv, this.#window, this.qkv.bias);
    return this.proj.forward(windowUnpartition(this.attend(windows), height, width), residual);
  }

  /** `[maps, height, width, 3 * dim]` to `[maps, height, width, dim]`, each map by itself. */
  private attend(qkv: Tensor): Tensor {
    const [maps, height, width, size] = qkv.shape as [number, number, number, number];
    const options = { heads: this.#heads, height, width };
    const y = samAttentionPacked(reshape(qkv, [maps, height * width, size]), this.relPosH, this.relPosW, options);
    return reshape(y, [maps, height, width, size / 3]);
  }

  protected override reset(): void {
    this.replace('relPosH', zeros(this.relPosH.shape, this.relPosH.dtype));
    this.replace('relPosW', zeros(this.relPosW.shape, this.relPosW.dtype));
  }
}
