/** The adapters of a model by name: each an engine of its own beside that of the base, for as long as it is wanted or works. */
import { shown } from '../checks';
import { ArgumentError } from '../errors';
import type { Device } from '../native';
import { adaptedModel } from './adapted_model';
import type { Engine } from './engine';
import { type GiveUp, Lifetime } from './lifetime';

interface Adapter {
  readonly engine: Engine;
  readonly lifetime: Lifetime;
  readonly free: () => void;
}

/** An engine that stays whole until it is left. */
export interface EngineInUse extends Disposable {
  readonly engine: Engine;
}

export class Adapters {
  readonly #base: Engine;
  readonly #named = new Map<string, Adapter>();

  constructor(base: Engine) {
    this.#base = base;
  }

  /** Of the base and of all adapters. */
  get device(): Device {
    return this.#base.model.device;
  }

  get names(): string[] {
    return [...this.#named.keys()];
  }

  /** @throws ArgumentError for a name that is none or taken; what `adaptedModel` throws. */
  async load(name: string, folder: string, signal?: AbortSignal): Promise<void> {
    if (typeof name !== 'string' || name === '')
      throw new ArgumentError(`loadAdapter: name is ${shown(name)}, expected a name for requests`);
    if (typeof folder !== 'string') throw new ArgumentError(`loadAdapter: folder is ${shown(folder)}, expected that of a PEFT adapter`);
    this.#expectFree(name);
    const base = this.#base;
    const adapted = await adaptedModel(base.model, folder, base.weights, signal);
    try {
      this.#expectFree(name); // another call may have been quicker
    } catch (error) {
      adapted[Symbol.dispose]();
      throw error;
    }
    const engine = { ...base, model: adapted.model };
    this.#named.set(name, { engine, lifetime: new Lifetime(`the adapter ${name}`), free: () => adapted[Symbol.dispose]() });
  }

  /** Resolves when the requests that use it have ended, or were given up as they stood still, and its memory is free. @throws ArgumentError for one that is not there. */
  async unload(name: string): Promise<void> {
    const { lifetime, free } = this.#find('unloadAdapter', name);
    this.#named.delete(name);
    await lifetime.end(this.device, free);
  }

  /** @param name - undefined: the base. @param giveUp - of work that may stand still. @throws ArgumentError for one that is not there. */
  use(call: string, name: string | undefined, giveUp?: GiveUp): EngineInUse {
    if (name === undefined) return { engine: this.#base, [Symbol.dispose]: () => undefined };
    const { engine, lifetime } = this.#find(call, name);
    const work = lifetime.enter(giveUp);
    return { engine, [Symbol.dispose]: () => work[Symbol.dispose]() };
  }

  /** Frees all, once nothing uses them. */
  free(): void {
    for (const { free } of this.#named.values()) free();
    this.#named.clear();
  }

  #find(call: string, name: string): Adapter {
    const found = this.#named.get(name);
    if (found) return found;
    const known = this.names.length > 0 ? `one of ${this.names.join(', ')}` : 'one that loadAdapter has opened; there are none';
    throw new ArgumentError(`${call}: adapter is ${shown(name)}, expected ${known}`);
  }

  #expectFree(name: string): void {
    if (this.#named.has(name))
      throw new ArgumentError(`loadAdapter: ${name} is there already, expected another name, or unloadAdapter first`);
  }
}
