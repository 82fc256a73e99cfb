/**
 * Sizes of a CLIP vision tower, from Hugging Face's config.json, from the shapes of a checkpoint, or of the published towers.
 * Radford et al. 2021, https://arxiv.org/abs/2103.00020.
 */
import { z } from 'zod';
import { ArgumentError } from '../../errors';

export interface ClipConfig {
  /** Side of the square input, in pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  readonly dim: number;
  readonly mlpDim: number;
  readonly depth: number;
  readonly heads: number;
  /** Of the layer norms. */
  readonly eps: number;
  readonly activation: 'quick_gelu' | 'gelu';
  /** Which hidden state is the feature: 0 is the input of the first layer, i the output of layer i, negative counts from the last. */
  readonly selectLayer: number;
  /** `patch` drops the class token. */
  readonly selectFeature: 'patch' | 'cls_patch';
  /** What a pixel is multiplied by before `pixelMean` and `pixelStd` (red, green, blue) apply. */
  readonly pixelScale: number;
  readonly pixelMean: readonly [number, number, number];
  readonly pixelStd: readonly [number, number, number];
  /** LLaVA-1.5: a picture is padded to a square with its mean colour, where else its middle is cut out; default false. */
  readonly padToSquare?: boolean;
}

const published = {
  eps: 1e-5,
  activation: 'quick_gelu',
  selectLayer: -2,
  selectFeature: 'patch',
  pixelScale: 1 / 255,
  pixelMean: [0.48145466, 0.4578275, 0.40821073],
  pixelStd: [0.26862954, 0.26130258, 0.27577711],
} as const;

const vitL14 = { ...published, patchSize: 14, dim: 1024, mlpDim: 4096, depth: 24, heads: 16 } as const;

/** Published towers by the end of their name: `openai/clip-vit-large-patch14-336` and `-patch14`. */
export const clipPresets = {
  'vit-large-patch14-336': { ...vitL14, imageSize: 336 },
  'vit-large-patch14': { ...vitL14, imageSize: 224 },
} as const satisfies Record<string, ClipConfig>;

const size = z.int().positive();
const visionConfig = z.object({
  image_size: size,
  patch_size: size,
  hidden_size: size,
  intermediate_size: size,
  num_hidden_layers: size,
  num_attention_heads: size,
  layer_norm_eps: z.number().positive().default(published.eps),
  hidden_act: z.enum(['quick_gelu', 'gelu']).default(published.activation),
});

/**
 * The tower that a config.json of Hugging Face describes: the `vision_config` of a CLIP, or the tower's own fields.
 * @throws ArgumentError that names the field which does not fit.
 */
export function parseClipConfig(json: unknown): ClipConfig {
  const nested = z.object({ vision_config: z.unknown() }).safeParse(json);
  const { data, error } = visionConfig.safeParse(nested.success ? nested.data.vision_config : json);
  if (error) {
    const fields = error.issues.map(({ path, message }) => `${path.join('.') || 'config'}: ${message}`);
    throw new ArgumentError(`clip: config.json does not describe a vision tower: ${fields.join('; ')}`);
  }
  return checked({
    ...published,
    imageSize: data.image_size,
    patchSize: data.patch_size,
    dim: data.hidden_size,
    mlpDim: data.intermediate_size,
    depth: data.num_hidden_layers,
    heads: data.num_attention_heads,
    eps: data.layer_norm_eps,
    activation: data.hidden_act,
  });
}

const kHeadDim = 64; // of every tower up to ViT-L; shapes do not tell

/**
 * The tower whose tensors have these shapes.
 * @param shapes - by key, from `vision_model.` on; other keys are passed over.
 * @param known - what shapes do not tell, or what is known better: `heads` is taken to be `dim / 64`.
 * @throws ArgumentError when a tensor that tells a size is not there.
 */
export function inferClipConfig(shapes: ReadonlyMap<string, readonly number[]>, known: Partial<ClipConfig> = {}): ClipConfig {
  const sizeOf = (key: string, axis: number): number => {
    const value = shapes.get(`vision_model.${key}`)?.[axis];
    if (value === undefined) throw new ArgumentError(`clip: the checkpoint has no vision_model.${key}, expected it to tell the sizes`);
    return value;
  };
  const [dim, patchSize] = [sizeOf('embeddings.patch_embedding.weight', 0), sizeOf('embeddings.patch_embedding.weight', 2)];
  const side = Math.sqrt(sizeOf('embeddings.position_embedding.weight', 0) - 1);
  let depth = 0;
  while (shapes.has(`vision_model.encoder.layers.${depth}.layer_norm1.weight`)) depth++;
  const mlpDim = sizeOf('encoder.layers.0.mlp.fc1.weight', 0);
  return checked({
    ...published,
    imageSize: side * patchSize,
    patchSize,
    dim,
    mlpDim,
    depth,
    heads: Math.max(1, dim / kHeadDim),
    ...known,
  });
}

/** How many layers must run for the feature, 0 to `depth`. */
export function usedLayers({ depth, selectLayer }: ClipConfig): number {
  return selectLayer < 0 ? depth + 1 + selectLayer : selectLayer;
}

/** Keys of a published CLIP that its tower with `config` does not use: text, projections, layers behind the feature. */
export function isUnusedClipKey(key: string, config: ClipConfig): boolean {
  if (!key.startsWith('vision_model.')) return /^(text_model\.|visual_projection\.|text_projection\.|logit_scale$)/.test(key);
  const layer = /^vision_model\.encoder\.layers\.(\d+)\./.exec(key)?.[1];
  return /^vision_model\.(post_layernorm\.|embeddings\.position_ids$)/.test(key) || Number(layer ?? -1) >= usedLayers(config);
}

function checked(config: ClipConfig): ClipConfig {
  const { imageSize, patchSize, dim, heads, depth, selectLayer } = config;
  const require = (holds: boolean, field: string, got: number, expected: string) => {
    if (!holds) throw new ArgumentError(`clip: ${field} is ${got}, expected ${expected}`);
  };
  require(Number.isInteger(imageSize / patchSize), 'imageSize', imageSize, `a multiple of patchSize, ${patchSize}`);
  require(Number.isInteger(dim / heads), 'heads', heads, `a divisor of dim, ${dim}`);
  const layers = usedLayers(config);
  require(Number.isInteger(layers) && layers >= 0 && layers <= depth, 'selectLayer', selectLayer, `within the ${depth} layers`);
  return config;
}
