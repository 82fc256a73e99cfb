/** An image that a model has read and keeps, however many others come between. */
import { DisposedError } from '../errors';
import type { Picture } from './picture';

/** Give it in the place of an image. Made by `Mglmm.encodeImage` and `SegmentAnything.encodeImage`, for that model alone. */
export class EncodedImage implements Disposable {
  readonly #picture: Picture;
  readonly #held: readonly Disposable[];
  #disposed = false;
  /** The model that has read it. */
  readonly owner: object;

  constructor(owner: object, picture: Picture, held: readonly Disposable[]) {
    this.owner = owner;
    this.#picture = picture;
    this.#held = held;
  }

  /** In pixels. */
  get width(): number {
    return this.#picture.width;
  }

  get height(): number {
    return this.#picture.height;
  }

  get disposed(): boolean {
    return this.#disposed;
  }

  /** @throws DisposedError */
  get picture(): Picture {
    if (this.#disposed) throw new DisposedError('the encoded image was disposed');
    return this.#picture;
  }

  /** The model keeps it only as it keeps any image from now on: as long as there is room. Idempotent. */
  dispose(): void {
    if (this.#disposed) return;
    this.#disposed = true;
    for (const one of this.#held) one[Symbol.dispose]();
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
