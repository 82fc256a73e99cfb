/**
 * A dense row-major array on a device. Ops only enqueue; `await tensor.read()` waits. Made by ops, `tensor`, `empty` ...,
 * freed by its scope, by `dispose()`, or by the garbage collector as a last resort.
 */
import type { GradNode } from '../autograd/graph';
import { DisposedError, ShapeError, typed } from '../errors';
import { type Device, type Dtype, debugFromStart, guarded, type Handle, native, type ReadArray } from '../native';
import { ambient } from './ambient';
import { deviceName } from './device';
import { type Owned, Scope } from './scope';

const dtypes: readonly Dtype[] = ['f32', 'bf16', 'f16', 'i32', 'u8'];
const layouts = ['rows', 'packed'] as const;

/** Handles of disposed tensors, for the next ones. */
const spare: Handle[] = [];
/** Numbers that describe a tensor: `native.described`. */
const descriptionLength = 10;

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
  #handle: Handle | undefined;

  /**
   * @param handle - has been filled by the last native call, as the `place`-th of the tensors it made.
   * @internal
   */
  constructor(handle: Handle, place = 0) {
    const { described } = native;
    const at = place * descriptionLength;
    const shape: number[] = [];
    for (let axis = 0; axis < (described[at + 3] as number); axis++) shape.push(described[at + 4 + axis] as number);
    this.shape = Object.freeze(shape);
    this.dtype = dtypes[described[at] as number] as Dtype;
    this.device = deviceName(described[at + 1] as number);
    this.layout = layouts[described[at + 2] as number] as 'rows' | 'packed';
    this.#handle = handle;
    if (debug)
      this.madeAt = new Error().stack
        ?.split('\n')
        .filter((line) => !line.includes(__filename))
        .slice(1, 6)
        .join('\n');
    const { scope } = ambient();
    if (scope) scope.own(this);
    else this.announce();
  }

  /** An empty handle, for a native call to fill. @internal */
  static emptyHandle(): Handle {
    return spare.pop() ?? native.newHandle();
  }

  /** The tensor whose handle the last native call was given as the `place`-th to fill; none if it made none. @internal */
  static made(handle: Handle, place: number): Tensor | undefined {
    if ((native.described[place * descriptionLength + 3] as number) >= 0) return new Tensor(handle, place);
    spare.push(handle);
    return undefined;
  }

  /** The tensor that `fill` makes of an empty handle. @internal */
  static make(fill: (handle: Handle) => void): Tensor {
    const handle = Tensor.emptyHandle();
    guarded(() => fill(handle));
    return new Tensor(handle);
  }

  /**
   * What native calls are given for `value`: a live tensor's handle; anything else as it is, which they refuse.
   * @throws DisposedError
   * @internal
   */
  static handleOf(value: unknown, op: string, field: string): Handle {
    if (!(value instanceof Tensor)) return value as Handle;
    if (value.#handle) return value.#handle;
    const madeAt = value.madeAt ? `; it was made ${value.madeAt}` : '';
    throw new DisposedError(`${op}: ${field} was disposed, expected a live tensor${madeAt}`);
  }

  /** Another tensor on the memory of `x`: all of it, or `shape` from element `offset`. @internal */
  static alias(x: Tensor, shape?: readonly number[], offset?: number): Tensor {
    return Tensor.make((made) => native.alias(made, Tensor.handleOf(x, 'reshape', 'x'), shape, offset));
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
    return this.#handle === undefined;
  }

  /**
   * The values, once all that was enqueued before has run: Float32Array for f32, bf16 and f16, Int32Array for i32,
   * Uint8Array for u8.
   * @throws the error of the op that should have filled this tensor.
   */
  async read(): Promise<ReadArray> {
    try {
      return await guarded(() => native.read(Tensor.handleOf(this, 'read', 'x')));
    } catch (error) {
      throw typed(error);
    }
  }

  /** The bit patterns of a bf16 or f16 tensor as Uint16Array; other dtypes as `read`. */
  async readBits(): Promise<ReadArray> {
    try {
      return await guarded(() => native.read(Tensor.handleOf(this, 'read', 'x'), true));
    } catch (error) {
      throw typed(error);
    }
  }

  /** The one value of a tensor with one element. @throws ShapeError for more or none. */
  async item(): Promise<number> {
    if (this.count !== 1) throw new ShapeError(`item: x is [${this.shape.join(', ')}], expected one element`);
    const values = await this.read();
    return values[0] as number;
  }

  /**
   * Tells the garbage collector of the bytes, as no scope frees them. Not of all tensors: being told of tens of MiB it looks for
   * garbage at once, for 5 ms and more.
   * @internal
   */
  announce(): void {
    if (this.#handle) native.announce(this.#handle);
  }

  /** Frees the memory once all that was enqueued before has run. Idempotent. */
  dispose(): void {
    Scope.disown(this);
    const handle = this.#handle;
    if (!handle) return;
    this.#handle = undefined;
    native.dispose(handle);
    spare.push(handle);
  }

  [Symbol.dispose](): void {
    this.dispose();
  }
}
