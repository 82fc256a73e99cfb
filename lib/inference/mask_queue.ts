/** The masks of one answer, each begun as soon as the model asks for it, in order, while its text goes on. */
import { onAbort } from '../abort';
import type { Mask } from '../masks/mask';
import type { Tensor } from '../tensor/tensor';
import type { Engine } from './engine';
import { type DecodedMask, decodedMasks, leaseMaskSource, type MaskSource } from './mask_source';
import type { Picture } from './picture';
import type { Lease } from './shared_cache';

export class MaskQueue implements Disposable {
  readonly #engine: Engine;
  readonly #picture: Picture;
  /** Fires with the caller's signal, and when all is done. */
  readonly #giveUp = new AbortController();
  readonly #forgetSignal: () => void;
  readonly #masks: Promise<Mask>[] = [];
  #leasing?: Promise<Lease<MaskSource>>;
  #lease?: Lease<MaskSource>;

  constructor(engine: Engine, picture: Picture, signal?: AbortSignal) {
    this.#engine = engine;
    this.#picture = picture;
    this.#forgetSignal = onAbort(signal, () => this.#giveUp.abort(signal?.reason));
  }

  get length(): number {
    return this.#masks.length;
  }

  /** Whether the picture's embedding was there; undefined when no mask was asked for. */
  get cached(): boolean | undefined {
    return this.#lease?.cached;
  }

  at(index: number): Promise<Mask> | undefined {
    return this.#masks[index];
  }

  /** @param state - `[1, dim]`, normed, which predicts a `[SEG]`; disposed here. */
  push(state: Tensor): void {
    // With the embedding at hand the mask is enqueued now, before the next token.
    const mask = this.#lease ? this.#decode(this.#lease, state) : this.#decodeLater(state);
    mask.catch(() => undefined); // it is awaited later, or given up
    this.#masks.push(mask);
  }

  [Symbol.dispose](): void {
    this.#forgetSignal();
    this.#giveUp.abort();
    this.#leasing?.then(
      (lease) => lease[Symbol.dispose](),
      () => undefined,
    );
  }

  async #decodeLater(state: Tensor): Promise<Mask> {
    const { model, cache } = this.#engine;
    try {
      this.#leasing ??= leaseMaskSource(model.sam, cache, this.#picture, this.#giveUp.signal);
      const lease = await this.#leasing;
      this.#lease = lease;
      return await this.#decode(lease, state);
    } finally {
      state.dispose();
    }
  }

  async #decode({ value }: Lease<MaskSource>, state: Tensor): Promise<Mask> {
    const { model } = this.#engine;
    try {
      const decode = () => model.decodeMasks(value.embedding, state);
      const [[decoded]] = (await decodedMasks(value, this.#giveUp.signal, decode)) as [[DecodedMask]];
      return decoded.mask;
    } finally {
      state.dispose();
    }
  }
}
