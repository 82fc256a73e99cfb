import { ArgumentError, DisposedError } from '../errors';
import type { ImageSource } from '../image/decode';
import { openPicture, type Picture } from './picture';
import type { Lease } from './shared_cache';

/** A path, the bytes of a file, pixels, or an image that `encodeImage` has read. */
export type ImageInput = ImageSource | EncodedImage;

/**
 * An image that a model has read and keeps, however many others come between: give it in the place of an image. Made by
 * `Mglmm.encodeImage` and `SegmentAnything.encodeImage`, for that model alone.
 */
export class EncodedImage implements Disposable {
  readonly #picture: Picture;
  readonly #held: readonly Disposable[];
  #disposed = false;
  /** The model that has read it. */
  readonly owner: object;

  private constructor(owner: object, picture: Picture, held: readonly Disposable[]) {
    this.owner = owner;
    this.#picture = picture;
    this.#held = held;
  }

  /** Once all is made that is held of `picture`. */
  static async holding(owner: object, picture: Picture, made: readonly Promise<Lease<unknown>>[]): Promise<EncodedImage> {
    const held: Lease<unknown>[] = [];
    try {
      const all = await Promise.allSettled(made);
      for (const one of all) if (one.status === 'fulfilled') held.push(one.value);
      for (const one of all) if (one.status === 'rejected') throw one.reason;
      await Promise.all(held.map(({ settled }) => settled));
      return new EncodedImage(owner, picture, held);
    } catch (error) {
      for (const lease of held) lease[Symbol.dispose]();
      throw error;
    }
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

/** @throws ImageError, ArgumentError, DisposedError, AbortedError. */
export async function pictureOf(owner: object, image: ImageInput, signal?: AbortSignal): Promise<Picture> {
  if (!(image instanceof EncodedImage)) return openPicture(image, { signal });
  if (image.owner !== owner) throw new ArgumentError('image: it was encoded by another model, expected one that this model has read');
  return image.picture;
}
