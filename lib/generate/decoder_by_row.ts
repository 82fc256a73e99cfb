/**
 * One decoder for a batch whose rows are answered by different adaptations of a model. A layer that they share serves all rows at
 * once; where they have LoRA each row is corrected by its own (Chen et al. 2023, arXiv 2310.18547); weights that were trained whole
 * serve their own rows.
 */
import { ArgumentError } from '../errors';
import { LlamaForCausalLM } from '../models/llama/model';
import { Embedding, Linear, LoraLinear, Module, RmsNorm } from '../nn';
import { add } from '../ops/add';
import { concat } from '../ops/concat';
import { addLoraByRow, type LoraByRow } from '../ops/lora_linear';
import { slice } from '../ops/slice';
import type { Tensor } from '../tensor/tensor';

/**
 * @param models - one for each row; rows of the same one are best beside each other.
 * @returns what serves exactly that batch. It has no parameters of its own, and is whole as long as the models are.
 * @throws ArgumentError for models that are not adaptations of one.
 */
export function decoderByRow(models: readonly LlamaForCausalLM[]): LlamaForCausalLM {
  const [{ model }] = models as [LlamaForCausalLM];
  if (allSame(models)) return models[0] as LlamaForCausalLM;
  if (!allSame(models.map((one) => one.model.config)))
    throw new ArgumentError('generate: prompts have models of several configurations, expected adaptations of one model');
  const decoder = LlamaForCausalLM.of(model.config, { dtype: model.dtype });
  decoder.dispose();
  const parts = new Map(Array.from(new Set(models), (one) => [one, one.parts()]));
  return decoder.substitute((key) => partByRow(models.map((one) => parts.get(one)?.get(key) as Module)));
}

/** Undefined where the parts differ in what they are made of. */
function partByRow(parts: readonly Module[]): Module | undefined {
  if (allSame(parts)) return parts[0];
  const bases = parts.map((part) => (part instanceof LoraLinear ? part.base : part));
  if (allSame(bases) && bases[0] instanceof Linear) return new LinearByRow(bases[0], parts);
  return parts.every(isLayer) ? new LayerByRow(parts) : undefined;
}

const allSame = (all: readonly unknown[]) => all.every((one) => one === all[0]);

/** A linear layer and the LoRA of each row, where there is one. */
class LinearByRow extends Module {
  readonly #base: Linear;
  readonly #loras: LoraByRow;

  constructor(base: Linear, parts: readonly Module[]) {
    super();
    this.#base = base;
    const loras = [...new Set(parts)].filter((part) => part instanceof LoraLinear);
    this.#loras = {
      loraA: loras.map(({ loraA }) => loraA),
      loraB: loras.map(({ loraB }) => loraB),
      scalings: loras.map(({ scaling }) => scaling),
      adapters: parts.map((part) => loras.indexOf(part as LoraLinear)),
    };
  }

  forward(x: Tensor): Tensor {
    return addLoraByRow(this.#base.forward(x), x, this.#loras);
  }
}

type Layer = Linear | LoraLinear | Embedding | RmsNorm;
const isLayer = (part: Module): part is Layer => [Linear, LoraLinear, Embedding, RmsNorm].some((kind) => part instanceof kind);

/** Layers without a common weight, each for its rows. */
class LayerByRow extends Module {
  readonly #runs: { readonly layer: Layer; readonly begin: number; end: number }[] = [];

  constructor(layers: readonly Layer[]) {
    super();
    for (const [row, layer] of layers.entries()) {
      const last = this.#runs.at(-1);
      if (last?.layer === layer) last.end = row + 1;
      else this.#runs.push({ layer, begin: row, end: row + 1 });
    }
  }

  forward(x: Tensor): Tensor {
    return this.#joined((layer, rows) => layer.forward(rows), x);
  }

  /** Of norms. */
  forwardSum(x: Tensor, residual: Tensor): { sum: Tensor; y: Tensor } {
    const sum = add(x, residual);
    return { sum, y: this.forward(sum) };
  }

  /** Of embeddings. */
  logits(states: Tensor): Tensor {
    return this.#joined((layer, rows) => (layer as Embedding).logits(rows), states);
  }

  #joined(run: (layer: Layer, rows: Tensor) => Tensor, x: Tensor): Tensor {
    return concat(
      this.#runs.map(({ layer, begin, end }) => run(layer, slice(x, 0, begin, end))),
      0,
    );
  }
}
