/**
 * A part of a model: parameters (fields that are tensors) and smaller parts (fields that are modules, or arrays of them).
 * A parameter's key is the path of its fields in the checkpoint's spelling, snake case: `layers[0].selfAttn.qProj.weight`
 * is `layers.0.self_attn.q_proj.weight`. A field whose key is spelled otherwise says so in `keys`.
 */
import { CheckpointError } from '../errors';
import type { Device, Dtype } from '../native';
import { withAmbient } from '../tensor/ambient';
import { empty } from '../tensor/create';
import { defaultDevice, deviceName, onDevice } from '../tensor/device';
import { Scope } from '../tensor/scope';
import { Tensor } from '../tensor/tensor';
import { compareShapes, differenceError } from './difference';

/**
 * A parameter without values: it gets memory when it is initialised, and none when a checkpoint's tensor takes its place.
 * @param device - default where tensors are made that follow no other.
 */
export function parameter(shape: readonly number[], dtype: Dtype = 'f32', device: Device = deviceName(defaultDevice())): Tensor {
  return onDevice(device, () => withAmbient({ scope: undefined }, () => empty(shape, dtype)));
}

interface Slot {
  readonly module: Module;
  readonly field: string;
}

/** Parameters of `owner`, by its own keys; in the whole model `prefix` is in front of them. */
export interface PackGroup {
  readonly owner: Module;
  readonly prefix: string;
  readonly keys: readonly string[];
}

export abstract class Module {
  /** Checkpoint spellings of fields whose key is not their name in snake case. */
  protected readonly keys: Readonly<Record<string, string>> = {};

  /** Every parameter with its key. */
  *namedParameters(prefix = ''): Generator<[string, Tensor]> {
    for (const [key, { module, field }] of this.slots(prefix)) yield [key, module.at(field)];
  }

  parameters(): Tensor[] {
    return Array.from(this.namedParameters(), ([, tensor]) => tensor);
  }

  /** Where the parameters are. */
  get device(): Device {
    for (const [, { device }] of this.namedParameters()) return device;
    return deviceName(defaultDevice());
  }

  /** Every parameter by key; the tensors themselves, not copies. */
  stateDict(): Map<string, Tensor> {
    return new Map(this.namedParameters());
  }

  /**
   * Puts `state`'s tensors in the place of the parameters, which are disposed; from then on the module owns them.
   * @throws CheckpointError, having changed nothing, unless keys and shapes agree exactly.
   */
  load(state: ReadonlyMap<string, Tensor>): void {
    const shapes = (tensors: Iterable<[string, Tensor]>) => new Map(Array.from(tensors, ([key, { shape }]) => [key, shape]));
    const difference = compareShapes(shapes(this.namedParameters()), shapes(state));
    if (Object.values(difference).some((keys) => keys.length > 0)) throw differenceError('the tensors do not fit the module', difference);
    this.loadSome(state);
  }

  /** As {@link load}, of those parameters only whose keys `state` has. */
  loadSome(state: ReadonlyMap<string, Tensor>): void {
    const slots = new Map<string, Slot>();
    for (const [key, slot] of this.slots('')) if (state.has(key)) slots.set(key, slot);
    for (const [key, tensor] of state) {
      const slot = slots.get(key);
      const [got, wanted] = [tensor.shape.join(', '), slot?.module.at(slot.field).shape.join(', ')];
      if (got !== wanted) throw new CheckpointError(`${key} is [${got}], expected ${slot ? `[${wanted}]` : 'a key of the module'}`);
    }
    for (const [key, tensor] of state) {
      const { module, field } = slots.get(key) as Slot;
      module.replace(field, tensor);
    }
  }

  /** Fills every parameter for training from scratch, as PyTorch's layers do by default; the same `seed`, the same values. */
  initialize(seed: number): this {
    onDevice(this.device, () => this.reset(seed));
    let next = seed;
    for (const [, child] of this.children()) {
      next = (Math.imul(next, 1664525) + 1013904223) >>> 0;
      child.initialize(next);
    }
    return this;
  }

  /** Trains exactly the parameters whose key `matches`. */
  train(matches: (key: string) => boolean): this {
    for (const [key, tensor] of this.namedParameters()) tensor.requiresGrad = matches(key);
    return this;
  }

  /**
   * Puts the weights of products into the order they run fastest in; they can be neither trained nor read from then on. On a GPU
   * they are in it already and stay as they are.
   */
  pack(): this {
    for (const [, child] of this.children()) child.pack();
    return this;
  }

  /**
   * Holds the weights of linear layers in 8 or 4 bits from now on, with a scale for each 128 inputs: less memory, and as much
   * less time where a product waits for its weight. They can be neither trained nor read then; `load` brings new ones.
   * @param matches - which weights, by key; default all.
   */
  quantize(kind: 'int8' | 'int4', matches: (key: string) => boolean = () => true): this {
    for (const [key, { module, field }] of [...this.slots('')]) if (field === 'weight' && matches(key)) module.quantizeOwn(kind);
    return this;
  }

  /**
   * The parameters in groups that may be loaded and packed one after another: those of each module that packs in a way of its
   * own, and what lies between.
   */
  *packGroups(prefix = ''): Generator<PackGroup> {
    if (this.pack !== Module.prototype.pack) {
      yield { owner: this, prefix, keys: Array.from(this.namedParameters(), ([key]) => key) };
      return;
    }
    const own = Object.entries(this).filter(([, value]) => value instanceof Tensor);
    if (own.length > 0) yield { owner: this, prefix, keys: own.map(([field]) => this.key(field)) };
    for (const [key, child] of this.children()) yield* child.packGroups(key === '' ? prefix : `${prefix}${key}.`);
  }

  /**
   * Puts what `replace` gives in the place of a smaller part, whose owner it must serve as that did; undefined leaves the part
   * and goes on inside of it. What was replaced is not disposed. A part under its owner's own key is the owner's matter.
   * @param replace - given the key that the part's parameters begin with.
   */
  substitute(replace: (key: string, part: Module) => Module | undefined, prefix = ''): this {
    for (const [field, value] of Object.entries(this)) {
      const own = this.key(field);
      const visit = (part: Module, key: string, put: (other: Module) => void) => {
        if (key === '') return;
        const other = replace(prefix + key, part);
        if (other && other !== part) put(other);
        else part.substitute(replace, `${prefix}${key}.`);
      };
      if (value instanceof Module) visit(value, own, (other) => Object.assign(this, { [field]: other }));
      else if (Array.isArray(value)) {
        for (const [index, element] of value.entries()) {
          if (element instanceof Module) visit(element, own === '' ? `${index}` : `${own}.${index}`, (other) => (value[index] = other));
        }
      }
    }
    return this;
  }

  /** Every smaller part by the key that its parameters begin with, as {@link substitute} visits them. */
  parts(): Map<string, Module> {
    const parts = new Map<string, Module>();
    this.substitute((key, part) => {
      parts.set(key, part);
      return undefined;
    });
    return parts;
  }

  /** Frees the parameters, and what smaller parts hold besides. */
  dispose(): void {
    for (const value of Object.values(this)) if (value instanceof Tensor) value.dispose();
    for (const [, child] of this.children()) child.dispose();
  }

  /** Fills this module's own parameters; layers that have some override it. */
  protected reset(_seed: number): void {}

  /** Holds this module's own `weight` in fewer bits; layers that can override it. */
  protected quantizeOwn(_kind: 'int8' | 'int4'): void {}

  /** Puts `tensor` in the place of a parameter, which is disposed. */
  protected replace(field: string, tensor: Tensor): void {
    const before = this.at(field);
    if (before === tensor) return;
    tensor.requiresGrad = before.requiresGrad;
    Object.assign(this, { [field]: Scope.disown(tensor) });
    before.dispose();
  }

  private at(field: string): Tensor {
    return Reflect.get(this, field) as Tensor;
  }

  private *slots(prefix: string): Generator<[string, Slot]> {
    for (const [field, value] of Object.entries(this))
      if (value instanceof Tensor) yield [prefix + this.key(field), { module: this, field }];
    for (const [key, child] of this.children()) yield* child.slots(key === '' ? prefix : `${prefix}${key}.`);
  }

  private *children(): Generator<[string, Module]> {
    for (const [field, value] of Object.entries(this)) {
      if (value instanceof Module) yield [this.key(field), value];
      else if (Array.isArray(value)) {
        const prefix = this.key(field) === '' ? '' : `${this.key(field)}.`;
        for (const [index, element] of value.entries()) if (element instanceof Module) yield [`${prefix}${index}`, element];
      }
    }
  }

  private key(field: string): string {
    return this.keys[field] ?? field.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  }
}
