import { ArgumentError } from '../errors';
import type { Dtype } from '../native';
import type { Tensor } from '../tensor/tensor';
import { readTensor } from './read_tensor';
import type { StoredTensor } from './stored';

/** The tensors of a file or folder of weights: names, shapes and dtypes at once, values when they are asked for. */
export class Checkpoint {
  /** What was opened. */
  readonly path: string;
  readonly names: readonly string[];
  readonly #tensors: ReadonlyMap<string, StoredTensor>;

  /** For {@link openCheckpoint}. */
  constructor(path: string, tensors: readonly StoredTensor[]) {
    this.path = path;
    this.#tensors = new Map(tensors.map((one) => [one.name, one]));
    this.names = [...this.#tensors.keys()];
  }

  has(name: string): boolean {
    return this.#tensors.has(name);
  }

  /** @throws ArgumentError when there is no tensor of this name. */
  get(name: string): StoredTensor {
    const stored = this.#tensors.get(name);
    if (stored === undefined) throw new ArgumentError(`checkpoint: ${this.path} has no tensor ${name}`);
    return stored;
  }

  /**
   * The values of a tensor. Mapped from the file, not read, where they are there in rows and in the dtype that is asked for.
   * @param dtype - default as stored; 64-bit numbers become f32 or i32.
   * @throws ArgumentError when there is no tensor of this name, DtypeError when its dtype cannot be read.
   */
  async load(name: string, dtype?: Dtype): Promise<Tensor> {
    return readTensor(this.get(name), dtype);
  }
}
