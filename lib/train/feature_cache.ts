/** What encoders that are not trained made of images: kept for when an image comes again, least recently used first to go. */
import { noGradients } from '../tensor/ambient';
import { Scope, tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';

const bytesOf = ({ count, dtype }: Tensor): number => count * (dtype === 'f32' ? 4 : 2);

export class FeatureCache implements Disposable {
  readonly #kept = new Map<string, Tensor>();
  readonly #most: number;
  #bytes = 0;
  hits = 0;
  misses = 0;

  /** @param most - bytes that are kept. */
  constructor(most: number) {
    this.#most = most;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * What `make` gives for `key`, without a gradient. Where it stays in the cache it is another handle's: valid until the end of the
   * scope around, like any other.
   * @param key - undefined: nothing is kept.
   */
  get(key: string | undefined, make: () => Tensor): Tensor {
    const found = key === undefined ? undefined : this.#kept.get(key);
    if (found && key !== undefined) {
      this.hits++;
      this.#kept.delete(key);
      this.#kept.set(key, found);
      return found;
    }
    this.misses++;
    const made = noGradients(() => tidy(make));
    const bytes = bytesOf(made);
    if (key === undefined || bytes > this.#most) return made;
    this.#kept.set(key, Scope.disown(made));
    this.#bytes += bytes;
    for (const [oldest, tensor] of this.#kept) {
      if (this.#bytes <= this.#most) break;
      this.#kept.delete(oldest);
      this.#bytes -= bytesOf(tensor);
      // Ops that were enqueued with it still have their memory; a scope frees the handle when the step is over.
      this.#leaving.push(tensor);
    }
    return made;
  }

  /** Frees what had to go since the last call: no step that may use it is being put together then. */
  sweep(): void {
    for (const tensor of this.#leaving) tensor.dispose();
    this.#leaving = [];
  }
  #leaving: Tensor[] = [];

  [Symbol.dispose](): void {
    this.sweep();
    for (const tensor of this.#kept.values()) tensor.dispose();
    this.#kept.clear();
    this.#bytes = 0;
  }
}
