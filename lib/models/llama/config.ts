/**
 * Sizes of a LLaMA decoder, from a checkpoint's config.json or from the shapes of its tensors. Touvron et al. 2023,
 * arXiv 2302.13971; 2307.09288.
 */
import { ArgumentError } from '../../errors';

export interface LlamaConfig {
  readonly vocabSize: number;
  readonly hiddenSize: number;
  /** Width of the MLP. */
  readonly intermediateSize: number;
  readonly numHiddenLayers: number;
  readonly numAttentionHeads: number;
  /** Heads of keys and values; each is shared by `numAttentionHeads / numKeyValueHeads` heads of queries. */
  readonly numKeyValueHeads: number;
  readonly headDim: number;
  readonly rmsNormEps: number;
  /** Base of the rotary frequencies. */
  readonly ropeTheta: number;
  /** Tokens the model was trained to see at once. */
  readonly maxPositionEmbeddings: number;
  /** The head is the embedding table itself; a checkpoint has no `lm_head.weight` then. */
  readonly tieWordEmbeddings: boolean;
}

/** What Hugging Face's LlamaConfig takes where a config.json is silent. */
const defaults = { rmsNormEps: 1e-6, ropeTheta: 10000, maxPositionEmbeddings: 2048, tieWordEmbeddings: false } as const;
/** Width of a head in LLaMA 1 and 2 at every size; shapes alone do not tell it. */
const usualHeadDim = 128;

/**
 * @param json - the object in config.json; unknown keys do not matter.
 * @throws ArgumentError when a size is missing or senseless, or the checkpoint wants what LLaMA does not have: biases in the
 *   attention, another activation, scaled positions.
 */
export function llamaConfig(json: unknown): LlamaConfig {
  if (typeof json !== 'object' || json === null) throw new ArgumentError(`config.json: is ${String(json)}, expected an object`);
  const read = new Reader(json as Readonly<Record<string, unknown>>);
  read.expect('hidden_act', 'silu', 'silu');
  read.expect('attention_bias', false, false);
  read.expect('mlp_bias', false, false);
  read.expect('rope_scaling', null, null);
  const numAttentionHeads = read.size('num_attention_heads');
  const hiddenSize = read.size('hidden_size');
  return checked({
    vocabSize: read.size('vocab_size'),
    hiddenSize,
    intermediateSize: read.size('intermediate_size'),
    numHiddenLayers: read.size('num_hidden_layers'),
    numAttentionHeads,
    numKeyValueHeads: read.size('num_key_value_heads', numAttentionHeads),
    headDim: read.size('head_dim', hiddenSize / numAttentionHeads),
    rmsNormEps: read.positive('rms_norm_eps', defaults.rmsNormEps),
    ropeTheta: read.positive('rope_theta', defaults.ropeTheta),
    maxPositionEmbeddings: read.size('max_position_embeddings', defaults.maxPositionEmbeddings),
    tieWordEmbeddings: read.flag('tie_word_embeddings', defaults.tieWordEmbeddings),
  });
}

/**
 * @param shapes - of the tensors by key (`model.embed_tokens.weight` ...).
 * @param known - what shapes do not say; `headDim` is 128 otherwise, where it divides the projections, and all heads are one
 *   else.
 * @throws ArgumentError when a tensor that tells a size is not there.
 */
export function llamaConfigOfShapes(shapes: ReadonlyMap<string, readonly number[]>, known: Partial<LlamaConfig> = {}): LlamaConfig {
  const sizes = (key: string): [number, number] => {
    const shape = shapes.get(key);
    if (shape?.length === 2) return shape as [number, number];
    throw new ArgumentError(
      `llama: ${key} is ${shape ? `[${shape.join(', ')}]` : 'missing'}, expected a matrix, which tells the model's sizes`,
    );
  };
  const [vocabSize, hiddenSize] = sizes('model.embed_tokens.weight');
  const [queries] = sizes('model.layers.0.self_attn.q_proj.weight');
  const [keys] = sizes('model.layers.0.self_attn.k_proj.weight');
  const [intermediateSize] = sizes('model.layers.0.mlp.gate_proj.weight');
  let numHiddenLayers = 0;
  while (shapes.has(`model.layers.${numHiddenLayers}.mlp.gate_proj.weight`)) numHiddenLayers++;
  const headDim = known.headDim ?? (keys % usualHeadDim === 0 ? usualHeadDim : keys);
  return checked({
    ...defaults,
    vocabSize,
    hiddenSize,
    intermediateSize,
    numHiddenLayers,
    numAttentionHeads: queries / headDim,
    numKeyValueHeads: keys / headDim,
    headDim,
    tieWordEmbeddings: !shapes.has('lm_head.weight'),
    ...known,
  });
}

function checked(config: LlamaConfig): LlamaConfig {
  const { numAttentionHeads, numKeyValueHeads, headDim } = config;
  for (const [name, size] of Object.entries({ numAttentionHeads, numKeyValueHeads, headDim })) {
    if (!(Number.isInteger(size) && size > 0)) throw new ArgumentError(`llama: ${name} is ${size}, expected an integer from 1`);
  }
  if (numAttentionHeads % numKeyValueHeads !== 0) {
    throw new ArgumentError(
      `llama: numKeyValueHeads is ${numKeyValueHeads}, expected a divisor of the ${numAttentionHeads} heads of queries`,
    );
  }
  if (headDim % 2 !== 0) throw new ArgumentError(`llama: headDim is ${headDim}, expected an even number, as positions turn pairs`);
  return config;
}

class Reader {
  constructor(private readonly json: Readonly<Record<string, unknown>>) {}

  size(key: string, otherwise?: number): number {
    const value = this.json[key] ?? otherwise;
    if (Number.isInteger(value) && (value as number) > 0) return value as number;
    throw this.refusal(key, 'an integer from 1');
  }

  positive(key: string, otherwise: number): number {
    const value = this.json[key] ?? otherwise;
    if (typeof value === 'number' && Number.isFinite(value) && value > 0) return value;
    throw this.refusal(key, 'a number above 0');
  }

  flag(key: string, otherwise: boolean): boolean {
    const value = this.json[key] ?? otherwise;
    if (typeof value === 'boolean') return value;
    throw this.refusal(key, 'true or false');
  }

  expect(key: string, expected: unknown, otherwise: unknown): void {
    if ((this.json[key] ?? otherwise) !== expected) throw this.refusal(key, `${JSON.stringify(expected)}, the one kind that is supported`);
  }

  private refusal(key: string, expected: string): ArgumentError {
    return new ArgumentError(`config.json: ${key} is ${JSON.stringify(this.json[key]) ?? 'missing'}, expected ${expected}`);
  }
}
