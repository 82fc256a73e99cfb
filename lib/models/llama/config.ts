/**
 * Sizes of a LLaMA decoder, from a checkpoint's config.json or from the shapes of its tensors. Touvron et al. 2023,
 * arXiv 2302.13971; 2307.09288.
 */
import { z } from 'zod';
import { ArgumentError } from '../../errors';

export interface LlamaConfig {
  readonly vocabSize: number;
  readonly dim: number;
  /** Width of the MLP. */
  readonly mlpDim: number;
  readonly depth: number;
  readonly heads: number;
  /** Heads of keys and values; each is shared by `heads / kvHeads` heads of queries. */
  readonly kvHeads: number;
  readonly headDim: number;
  readonly eps: number;
  /** Base of the rotary frequencies. */
  readonly ropeBase: number;
  /** Tokens that the model was trained to see at once. */
  readonly context: number;
  /** The head is the embedding table itself; a checkpoint has no `lm_head.weight` then. */
  readonly tiedHead: boolean;
}

/** What Hugging Face's LlamaConfig takes where a config.json is silent. */
const defaults = { eps: 1e-6, ropeBase: 10000, context: 2048, tiedHead: false } as const;
/** Width of a head in LLaMA 1 and 2 at every size; shapes alone do not tell it. */
const kHeadDim = 128;

const size = z.int().positive();
const llamaJson = z.object({
  vocab_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  num_key_value_heads: size.nullish(),
  head_dim: size.nullish(),
  rms_norm_eps: z.number().positive().default(defaults.eps),
  rope_theta: z.number().positive().default(defaults.ropeBase),
  max_position_embeddings: size.default(defaults.context),
  tie_word_embeddings: z.boolean().default(defaults.tiedHead),
  // What other families of decoders have and LLaMA has not.
  hidden_act: z.literal('silu').optional(),
  attention_bias: z.literal(false).optional(),
  mlp_bias: z.literal(false).optional(),
  rope_scaling: z.null().optional(),
});

/**
 * The decoder that a config.json describes in Hugging Face's words (`hidden_size`, ...).
 * @throws ArgumentError that names the field which does not fit, or which LLaMA does not have: biases in the attention,
 *   another activation, scaled positions.
 */
export function parseLlamaConfig(json: unknown): LlamaConfig {
  const { data, error } = llamaJson.safeParse(json);
  if (error) {
    const fields = error.issues.map(({ path, message }) => `${path.join('.') || 'config'}: ${message}`);
    throw new ArgumentError(`llama: config.json does not describe a LLaMA decoder: ${fields.join('; ')}`);
  }
  return checked({
    vocabSize: data.vocab_size,
    dim: data.hidden_size,
    mlpDim: data.intermediate_size,
    depth: data.num_hidden_layers,
    heads: data.num_attention_heads,
    kvHeads: data.num_key_value_heads ?? data.num_attention_heads,
    headDim: data.head_dim ?? data.hidden_size / data.num_attention_heads,
    eps: data.rms_norm_eps,
    ropeBase: data.rope_theta,
    context: data.max_position_embeddings,
    tiedHead: data.tie_word_embeddings,
  });
}

/**
 * @param shapes - of the tensors by key (`model.embed_tokens.weight` ...).
 * @param known - what shapes do not say; `headDim` is 128 otherwise, where it divides the projections, and all heads are one
 *   else.
 * @throws ArgumentError when a tensor that tells a size is not there.
 */
export function inferLlamaConfig(shapes: ReadonlyMap<string, readonly number[]>, known: Partial<LlamaConfig> = {}): LlamaConfig {
  const sizes = (key: string): [number, number] => {
    const shape = shapes.get(key);
    if (shape?.length === 2) return shape as [number, number];
    throw new ArgumentError(
      `llama: ${key} is ${shape ? `[${shape.join(', ')}]` : 'missing'}, expected a matrix, which tells the model's sizes`,
    );
  };
  const [vocabSize, dim] = sizes('model.embed_tokens.weight');
  const [queries] = sizes('model.layers.0.self_attn.q_proj.weight');
  const [keys] = sizes('model.layers.0.self_attn.k_proj.weight');
  const [mlpDim] = sizes('model.layers.0.mlp.gate_proj.weight');
  let depth = 0;
  while (shapes.has(`model.layers.${depth}.mlp.gate_proj.weight`)) depth++;
  const headDim = known.headDim ?? (keys % kHeadDim === 0 ? kHeadDim : keys);
  return checked({
    ...defaults,
    vocabSize,
    dim,
    mlpDim,
    depth,
    heads: queries / headDim,
    kvHeads: keys / headDim,
    headDim,
    tiedHead: !shapes.has('lm_head.weight'),
    ...known,
  });
}

function checked(config: LlamaConfig): LlamaConfig {
  const { heads, kvHeads, headDim } = config;
  for (const [name, size] of Object.entries({ heads, kvHeads, headDim })) {
    if (!(Number.isInteger(size) && size > 0)) throw new ArgumentError(`llama: ${name} is ${size}, expected an integer from 1`);
  }
  if (heads % kvHeads !== 0) {
    throw new ArgumentError(`llama: kvHeads is ${kvHeads}, expected a divisor of the ${heads} heads of queries`);
  }
  if (headDim % 2 !== 0) throw new ArgumentError(`llama: headDim is ${headDim}, expected an even number, as positions turn pairs`);
  return config;
}
