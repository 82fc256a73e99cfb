/**
 * Sizes of a whole model: LLaMA, CLIP, the layers that join them, Segment Anything. Of MGLMM and of the families whose
 * checkpoints run as it does: GLaMM, LISA, LLaVA-1.5. Zhou et al. 2025, AAAI; Lai et al. 2023, arXiv 2308.00692.
 */
import { z } from 'zod';
import { ArgumentError } from '../../errors';
import { clipPrefix, samPrefix } from '../../weights/layouts';
import { type ClipConfig, clipPresets, inferClipConfig, parseClipConfig } from '../clip/config';
import { inferLlamaConfig, type LlamaConfig, parseLlamaConfig } from '../llama/config';
import { inferSamConfig, parseSamConfig, type SamConfig, samPresets } from '../sam/config';

export interface MglmmConfig {
  readonly llama: LlamaConfig;
  readonly clip: ClipConfig;
  /** Absent in LLaVA, which makes no masks. */
  readonly sam?: SamConfig;
  /** From CLIP's features to LLaMA's: two linear layers with GELU between, or, in LISA, one. */
  readonly projector: 'mlp' | 'linear';
}

/** Tokens that an image becomes: its patches. */
export const imageTokens = ({ clip }: Pick<MglmmConfig, 'clip'>): number =>
  (clip.imageSize / clip.patchSize) ** 2 + (clip.selectFeature === 'patch' ? 0 : 1);

export interface MglmmSources {
  /** The object in config.json of the tower's folder, when there is one; else its name in the checkpoint's tells. */
  clip?: unknown;
  /** Shapes of all tensors by module key, when they are known: they tell the projector, and what config.json does not. */
  shapes?: ReadonlyMap<string, readonly number[]>;
}

const size = z.int();
const mglmmJson = z.object({
  text_config: z.record(z.string(), z.unknown()).optional(),
  vision_config: z.record(z.string(), z.unknown()).optional(),
  mm_vision_tower: z.string().nullish(),
  vision_tower: z.string().nullish(),
  mm_vision_select_layer: size.nullish(),
  vision_feature_layer: size.nullish(),
  mm_projector_type: z.string().nullish(),
  image_aspect_ratio: z.string().nullish(),
  vision_pretrained: z.string().nullish(),
  // Of this package: sizes that are none of the published ones.
  segment_encoder_config: z.unknown().optional(),
});

/**
 * The model that a checkpoint's config.json describes.
 * @throws ArgumentError that names the field which does not fit, or says what is needed to know a part's sizes.
 */
export function parseMglmmConfig(json: unknown, { clip, shapes = new Map() }: MglmmSources = {}): MglmmConfig {
  const { data, error } = mglmmJson.safeParse(json);
  if (error) {
    const fields = error.issues.map(({ path, message }) => `${path.join('.') || 'config'}: ${message}`);
    throw new ArgumentError(`mglmm: config.json does not describe a model: ${fields.join('; ')}`);
  }
  const clipConfig = clipConfigOf(data, clip ?? data.vision_config, under(shapes, clipPrefix));
  const sam = samConfigOf(data, under(shapes, samPrefix));
  return {
    llama: parseLlamaConfig(data.text_config ?? json),
    clip: {
      ...clipConfig,
      selectLayer: data.mm_vision_select_layer ?? data.vision_feature_layer ?? clipConfig.selectLayer,
      // Models that make masks are shown the middle square, whatever their config.json has of LLaVA-1.5's.
      ...(!sam && data.image_aspect_ratio === 'pad' ? { padToSquare: true } : {}),
    },
    sam,
    projector: projectorOf(shapes, data.mm_projector_type ?? undefined),
  };
}

/**
 * The model whose tensors have these shapes.
 * @param shapes - by module key.
 * @param known - what shapes do not tell, such as heads: see the configs of the parts.
 * @throws ArgumentError when a tensor that tells a size is not there.
 */
export function inferMglmmConfig(
  shapes: ReadonlyMap<string, readonly number[]>,
  known: { llama?: Partial<LlamaConfig>; clip?: Partial<ClipConfig>; sam?: Partial<SamConfig> } = {},
): MglmmConfig {
  const sam = under(shapes, samPrefix);
  return {
    llama: inferLlamaConfig(shapes, known.llama),
    clip: inferClipConfig(under(shapes, clipPrefix), known.clip),
    sam: sam.size > 0 ? inferSamConfig(sam, known.sam) : undefined,
    projector: projectorOf(shapes),
  };
}

type Json = z.infer<typeof mglmmJson>;
type Shapes = ReadonlyMap<string, readonly number[]>;

function clipConfigOf(json: Json, tower: unknown, shapes: Shapes): ClipConfig {
  if (tower !== undefined) return parseClipConfig(tower);
  const name = json.mm_vision_tower ?? json.vision_tower;
  const preset = Object.entries(clipPresets).find(([ending]) => name?.endsWith(ending))?.[1];
  if (preset) return preset;
  if (shapes.size > 0) return inferClipConfig(shapes);
  throw new ArgumentError(
    `mglmm: the vision tower is ${name ?? 'not named'}, expected the config.json of its folder, or one of ${Object.keys(clipPresets).join(', ')}`,
  );
}

function samConfigOf(json: Json, shapes: Shapes): SamConfig | undefined {
  if (json.segment_encoder_config !== undefined) return parseSamConfig(json.segment_encoder_config);
  if (shapes.size > 0) return inferSamConfig(shapes);
  const preset = Object.entries(samPresets).find(([name]) => json.vision_pretrained?.includes(name));
  return preset?.[1];
}

function projectorOf(shapes: Shapes, type?: string): MglmmConfig['projector'] {
  if (shapes.has('model.mm_projector.weight')) return 'linear';
  if (shapes.has('model.mm_projector.0.weight')) return 'mlp';
  if (type === undefined || type === 'mlp2x_gelu') return 'mlp';
  if (type === 'linear') return 'linear';
  throw new ArgumentError(`mglmm: mm_projector_type is "${type}", expected "mlp2x_gelu" or "linear"`);
}

function under(shapes: Shapes, prefix: string): Shapes {
  return new Map([...shapes].filter(([key]) => key.startsWith(prefix)).map(([key, shape]) => [key.slice(prefix.length), shape]));
}
