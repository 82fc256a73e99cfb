/**
 * Sizes of a Segment Anything model, from a config.json, from the shapes of a checkpoint, or of the published models.
 * Kirillov et al. 2023, https://arxiv.org/abs/2304.02643.
 */
import { z } from 'zod';
import { ArgumentError } from '../../errors';

export interface SamConfig {
  /** Side of the square input, in pixels. */
  readonly imageSize: number;
  readonly patchSize: number;
  /** Of the image encoder. */
  readonly dim: number;
  readonly depth: number;
  readonly heads: number;
  readonly mlpDim: number;
  /** Blocks (from 0) that attend over the whole image; the others over windows of `windowSize` tokens a side. */
  readonly globalBlocks: readonly number[];
  readonly windowSize: number;
  /** Of prompts, image embedding and mask decoder. */
  readonly promptDim: number;
  /** Channels of a mask prompt before its last convolution. */
  readonly maskChannels: number;
  readonly decoderDepth: number;
  readonly decoderHeads: number;
  readonly decoderMlpDim: number;
  /** The one mask of an unambiguous prompt, and the others, whole, part and sub-part, of an ambiguous one. */
  readonly maskTokens: number;
  readonly iouHeadDim: number;
  readonly iouHeadDepth: number;
  /** On the scale of 0 to 255; red, green, blue. */
  readonly pixelMean: readonly [number, number, number];
  readonly pixelStd: readonly [number, number, number];
}

const published = {
  imageSize: 1024,
  patchSize: 16,
  windowSize: 14,
  promptDim: 256,
  maskChannels: 16,
  decoderDepth: 2,
  decoderHeads: 8,
  decoderMlpDim: 2048,
  maskTokens: 4,
  iouHeadDim: 256,
  iouHeadDepth: 3,
  pixelMean: [123.675, 116.28, 103.53],
  pixelStd: [58.395, 57.12, 57.375],
} as const;

/** Published models by the name in their files, such as `sam_vit_h_4b8939.pth`. */
export const samPresets = {
  vit_h: { ...published, dim: 1280, mlpDim: 5120, depth: 32, heads: 16, globalBlocks: [7, 15, 23, 31] },
  vit_l: { ...published, dim: 1024, mlpDim: 4096, depth: 24, heads: 16, globalBlocks: [5, 11, 17, 23] },
  vit_b: { ...published, dim: 768, mlpDim: 3072, depth: 12, heads: 12, globalBlocks: [2, 5, 8, 11] },
} as const satisfies Record<string, SamConfig>;

const size = z.int().positive();
const samJson = z.object({
  image_size: size,
  patch_size: size,
  encoder_embed_dim: size,
  encoder_depth: size,
  encoder_num_heads: size,
  encoder_global_attn_indexes: z.array(z.int().nonnegative()),
  window_size: size.default(published.windowSize),
  mlp_ratio: z.number().positive().default(4),
  prompt_embed_dim: size.default(published.promptDim),
  mask_in_chans: size.default(published.maskChannels),
  decoder_depth: size.default(published.decoderDepth),
  decoder_num_heads: size.default(published.decoderHeads),
  decoder_mlp_dim: size.default(published.decoderMlpDim),
  num_multimask_outputs: size.default(published.maskTokens - 1),
  iou_head_hidden_dim: size.default(published.iouHeadDim),
  iou_head_depth: size.default(published.iouHeadDepth),
});

/**
 * The model that a config.json describes in segment-anything's words (`encoder_embed_dim`, ...).
 * @throws ArgumentError that names the field which does not fit.
 */
export function parseSamConfig(json: unknown): SamConfig {
  const { data, error } = samJson.safeParse(json);
  if (error) {
    const fields = error.issues.map(({ path, message }) => `${path.join('.') || 'config'}: ${message}`);
    throw new ArgumentError(`sam: config.json does not describe a segment-anything model: ${fields.join('; ')}`);
  }
  return checked({
    imageSize: data.image_size,
    patchSize: data.patch_size,
    dim: data.encoder_embed_dim,
    depth: data.encoder_depth,
    heads: data.encoder_num_heads,
    mlpDim: Math.floor(data.encoder_embed_dim * data.mlp_ratio),
    globalBlocks: data.encoder_global_attn_indexes,
    windowSize: data.window_size,
    promptDim: data.prompt_embed_dim,
    maskChannels: data.mask_in_chans,
    decoderDepth: data.decoder_depth,
    decoderHeads: data.decoder_num_heads,
    decoderMlpDim: data.decoder_mlp_dim,
    maskTokens: data.num_multimask_outputs + 1,
    iouHeadDim: data.iou_head_hidden_dim,
    iouHeadDepth: data.iou_head_depth,
    pixelMean: published.pixelMean,
    pixelStd: published.pixelStd,
  });
}

/**
 * The model whose tensors have these shapes.
 * @param shapes - by key, from `image_encoder.`, `prompt_encoder.` and `mask_decoder.` on; other keys are passed over.
 * @param known - what shapes do not tell, or what is known better: `decoderHeads` is taken to be 8.
 * @throws ArgumentError when a tensor that tells a size is not there.
 */
export function inferSamConfig(shapes: ReadonlyMap<string, readonly number[]>, known: Partial<SamConfig> = {}): SamConfig {
  const sizeOf = (key: string, axis: number): number => {
    const value = shapes.get(key)?.[axis];
    if (value === undefined) throw new ArgumentError(`sam: the checkpoint has no ${key}, expected it to tell the sizes`);
    return value;
  };
  const count = (keyOf: (i: number) => string): number => {
    let found = 0;
    while (shapes.has(keyOf(found))) found++;
    return found;
  };
  const [grid, patchSize] = [sizeOf('image_encoder.pos_embed', 1), sizeOf('image_encoder.patch_embed.proj.weight', 2)];
  const [dim, headDim] = [sizeOf('image_encoder.pos_embed', 3), sizeOf('image_encoder.blocks.0.attn.rel_pos_h', 1)];
  const depth = count((i) => `image_encoder.blocks.${i}.norm1.weight`);
  // A table of relative positions has 2 size - 1 rows; a window as large as the map is the whole map.
  const reach = Array.from({ length: depth }, (_, i) => (sizeOf(`image_encoder.blocks.${i}.attn.rel_pos_h`, 0) + 1) / 2);
  return checked({
    imageSize: grid * patchSize,
    patchSize,
    dim,
    depth,
    heads: dim / headDim,
    mlpDim: sizeOf('image_encoder.blocks.0.mlp.lin1.weight', 0),
    globalBlocks: [...reach.keys()].filter((i) => reach[i] === grid),
    windowSize: reach.find((tokens) => tokens !== grid) ?? published.windowSize,
    promptDim: sizeOf('image_encoder.neck.0.weight', 0),
    maskChannels: sizeOf('prompt_encoder.mask_downscaling.3.weight', 0),
    decoderDepth: count((i) => `mask_decoder.transformer.layers.${i}.norm1.weight`),
    decoderHeads: published.decoderHeads,
    decoderMlpDim: sizeOf('mask_decoder.transformer.layers.0.mlp.lin1.weight', 0),
    maskTokens: sizeOf('mask_decoder.mask_tokens.weight', 0),
    iouHeadDim: sizeOf('mask_decoder.iou_prediction_head.layers.0.weight', 0),
    iouHeadDepth: count((i) => `mask_decoder.iou_prediction_head.layers.${i}.weight`),
    pixelMean: published.pixelMean,
    pixelStd: published.pixelStd,
    ...known,
  });
}

/** Tokens along a side of the image embedding. */
export const gridSize = ({ imageSize, patchSize }: SamConfig): number => imageSize / patchSize;

function checked(config: SamConfig): SamConfig {
  const { imageSize, patchSize, dim, heads, depth, globalBlocks, promptDim, decoderHeads, maskChannels } = config;
  const require = (holds: boolean, field: string, got: number, expected: string) => {
    if (!holds) throw new ArgumentError(`sam: ${field} is ${got}, expected ${expected}`);
  };
  require(Number.isInteger(imageSize / patchSize), 'imageSize', imageSize, `a multiple of patchSize, ${patchSize}`);
  require(Number.isInteger(dim / heads), 'heads', heads, `a divisor of dim, ${dim}`);
  require(promptDim % 8 === 0, 'promptDim', promptDim, 'a multiple of 8, as upscaling divides it by 8');
  require(Number.isInteger(promptDim / 2 / decoderHeads), 'decoderHeads', decoderHeads, `a divisor of ${promptDim / 2}, half of promptDim`);
  require(maskChannels % 4 === 0, 'maskChannels', maskChannels, 'a multiple of 4');
  for (const block of globalBlocks) require(block < depth, 'globalBlocks', block, `below depth, ${depth}`);
  return config;
}
