/**
 * A dense row-major array on a device. Ops only enqueue; `await tensor.read()` waits. Made by the native side (ops,
 * `tensor`, `empty` ...), freed by its scope, by `dispose()`, or by the garbage collector as a last resort.
 */
import type { GradNode } from '../autograd/graph';
import { typed } from '../errors';
import { type Device, type Dtype, debugFromStart, guarded, native, type ReadArray } from '../native';
import { ambient } from './ambient';
import { type Owned, Scope } from './scope';

let debug = debugFromStart;

/** In debug mode every tensor remembers where it was made, and a DisposedError says so. Costs a stack trace a tensor. */
export function setDebug(on: boolean): void {
  debug = on;
}

export class Tensor implements Disposable, Owned {
  readonly isTensor = true;
  readonly shape: readonly number[];
  readonly dtype: Dtype;
  readonly device: Device;
  /** `packed` is the opaque order of `pack`; only weights of products may have it. */
  readonly layout: 'rows' | 'packed';
  /** Where it was made, in debug mode. */
  readonly madeAt?: string;
  owner?: Scope;
  /** What `backward` added up; only leaves with `requiresGrad` get one. */
  grad?: Tensor;
  /** The op that made it, when gradients were recorded. */
  node?: { readonly node: GradNode; readonly output: string };
  #requiresGrad = false;

  /** Called by the native side only. */
  constructor(shape: readonly number[], dtype: Dtype, device: Device, layout: 'rows' | 'packed') {
    this.shape = Object.freeze(Array.from(shape));
    this.dtype = dtype;
    this.device = device;
    this.layout = layout;
    if (debug)
      this.madeAt = new Error().stack
        ?.split('\n')
        .filter((line) => !line.includes(__filename))
        .slice(1, 6)
        .join('\n');
    ambient().scope?.own(this);
  }

  /** Elements in all. */
  get count(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }

  /** True for a trained leaf, and for every tensor computed from one while gradients were recorded. */
  get requiresGrad(): boolean {
    return this.#requiresGrad || this.node !== undefined;
  }

  set requiresGrad(on: boolean) {
    this.#requiresGrad = on;
  }

  get disposed(): boolean {
    return native.isDisposed(this);
  }

  /**
   * The values, once all that was enqueued before has run: Float32Array for f32, bf16 and f16, Int32Array for i32,
   * Uint8Array for u8.
   * @throws the error of the op that should have filled this tensor.
   */
  async read(): Promise<ReadArray> {
    try {
      return await guarded(() => native.read(this));
    } catch (error) {
      throw typed(error);
    }
  }

  /** The bit patterns of a bf16 or f16 tensor as Uint16Array; other dtypes as `read`. */
  async readBits(): Promise<ReadArray> {
    try {
      return await guarded(() => native.read(this, true));
    } catch (error) {
      throw typed(error);
    }
  }

  /** The one value of a tensor with one element. */
  async item(): Promise<number> {
    const values = await this.read();
    return values[0] as number;
  }

  /** Frees the memory once all that was enqueued before has run. Idempotent. */
  dispose(): void {
    Scope.disown(this);
    native.dispose(this);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}

native.setTensorClass(Tensor);
