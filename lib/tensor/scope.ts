/** Who frees what. A tensor belongs to the scope that was open when it was made and is freed when that scope ends. */
import type { Ambient } from './ambient';
import { ambient, enterAmbient, withAmbient } from './ambient';
import type { Tensor } from './tensor';

/** Anything a scope frees at its end: a tensor, a node of the gradient graph. */
export interface Owned {
  /** The scope that will free it; none: its user, or the garbage collector. */
  owner?: Scope;
  dispose(): void;
}

export class Scope implements Disposable {
  readonly #owned = new Set<Owned>();
  readonly parent: Scope | undefined;
  #outer: Ambient | undefined;

  private constructor(parent: Scope | undefined) {
    this.parent = parent;
  }

  /** The outermost scope around this one; a gradient graph lives as long as it. */
  get root(): Scope {
    return this.parent?.root ?? this;
  }

  /**
   * Opens a scope for the rest of the block: `using scope = Scope.open()`. For straight-line code; where several async
   * functions run at once, use {@link tidy}, which keeps them apart.
   */
  static open(): Scope {
    const outer = ambient();
    const scope = new Scope(outer.scope);
    scope.#outer = outer;
    enterAmbient({ scope, gradients: outer.gradients, token: outer.token, device: outer.device });
    return scope;
  }

  /** A scope that is not entered; `tidy` enters it. */
  static inside(parent: Scope | undefined): Scope {
    return new Scope(parent);
  }

  /** Takes over what another scope, or none, owned before. */
  own(owned: Owned): void {
    Scope.disown(owned);
    this.#owned.add(owned);
    owned.owner = this;
  }

  /** Makes `owned` outlive every scope: from now on its user disposes it. */
  static disown<T extends Owned>(owned: T): T {
    if (owned.owner) owned.owner.#owned.delete(owned);
    owned.owner = undefined;
    return owned;
  }

  /** Hands a tensor of this scope to the one around it, so that it outlives this. With none around, its user disposes it. */
  keep<T extends Tensor>(tensor: T): T {
    if (tensor.owner !== this) return tensor;
    Scope.disown(tensor);
    if (this.parent) this.parent.own(tensor);
    else tensor.announce();
    return tensor;
  }

  /** Tensors and graph nodes this scope would free now. */
  get size(): number {
    return this.#owned.size;
  }

  [Symbol.dispose](): void {
    for (const owned of this.#owned) owned.dispose();
    if (this.#outer) enterAmbient(this.#outer);
    this.#outer = undefined;
  }
}

/**
 * Runs `body` in a scope of its own: every tensor it makes is freed at its end, except those it returns (a tensor, or an
 * array or plain object of them), which pass to the scope around. `body` may be async.
 */
export function tidy<Result>(body: () => Result): Result {
  const scope = Scope.inside(ambient().scope);
  let result: Result;
  try {
    result = withAmbient({ scope }, body);
  } catch (error) {
    scope[Symbol.dispose]();
    throw error;
  }
  if (!isThenable(result)) return ended(scope, result);
  return result.then(
    (value) => ended(scope, value),
    (error) => {
      scope[Symbol.dispose]();
      throw error;
    },
  ) as Result;
}

/** Ends the scope of `tidy`, keeping what is returned. */
function ended<Value>(scope: Scope, value: Value): Value {
  for (const tensor of tensorsIn(value)) scope.keep(tensor);
  scope[Symbol.dispose]();
  return value;
}

function* tensorsIn(value: unknown): Generator<Tensor> {
  if (isTensor(value)) yield value;
  else if (Array.isArray(value)) for (const element of value) yield* tensorsIn(element);
  else if (typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype)
    for (const element of Object.values(value)) yield* tensorsIn(element);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

function isTensor(value: unknown): value is Tensor {
  return typeof value === 'object' && value !== null && 'isTensor' in value;
}
