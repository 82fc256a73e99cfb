/** Folders of whole models with random weights, in bf16 and of published sizes: what they answer is noise, what it costs is not. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cast, type MglmmConfig, MglmmForCausalLM, ones, randomNormal, zeros } from '../lib';
import { clipPresets } from '../lib/models/clip/config';
import { samPresets } from '../lib/models/sam/config';
import { addedTokens } from '../lib/text/tokens';
import { computedToWrite } from '../lib/weights/stored_pieces';
import { writeCheckpoint } from '../lib/weights/write_checkpoint';
import { tinyTokenizer } from '../test/support/tiny_model';

const pieces = 32000;
const llama = { vocabSize: pieces + addedTokens.length, eps: 1e-5, ropeBase: 10000, context: 4096, tiedHead: false };
const clip = clipPresets['vit-large-patch14-336'];

export const shapes = {
  /** MGLMM-7B: Vicuna-7B, CLIP ViT-L/14-336, SAM ViT-H. */
  '7b': {
    llama: { ...llama, dim: 4096, mlpDim: 11008, depth: 32, heads: 32, kvHeads: 32, headDim: 128 },
    clip,
    sam: samPresets.vit_h,
    projector: 'mlp',
  },
  /** The towers of the 7B but for SAM ViT-B, and a language model of 1.1 billion weights. */
  '1b': {
    llama: { ...llama, dim: 2048, mlpDim: 5632, depth: 22, heads: 32, kvHeads: 4, headDim: 64 },
    clip,
    sam: samPresets.vit_b,
    projector: 'mlp',
  },
  /** As many layers as the 7B has, each of next to no width: what is left is JavaScript's part. */
  thin: {
    llama: { ...llama, dim: 64, mlpDim: 64, depth: 32, heads: 2, kvHeads: 2, headDim: 32 },
    clip: { ...clip, dim: 64, mlpDim: 64, heads: 1 },
    sam: { ...samPresets.vit_h, imageSize: 256, dim: 32, mlpDim: 32, heads: 1 },
    projector: 'mlp',
  },
} as const satisfies Record<string, MglmmConfig>;

export type Shape = keyof typeof shapes;

/** Weights of linear layers about as large as trained ones, norms that change nothing. */
function weight(key: string, shape: readonly number[], seed: number) {
  if (/norm\w*\.weight$|neck\.[13]\.weight$/.test(key)) return cast(ones(shape), 'bf16');
  return /\.bias$/.test(key) ? zeros(shape, 'bf16') : randomNormal(shape, { seed, std: 0.02, dtype: 'bf16' });
}

/** Writes a model that `Mglmm.load` opens. */
export async function writeRandomModel(folder: string, shape: Shape, onProgress?: (share: number) => void): Promise<void> {
  await mkdir(folder, { recursive: true });
  const config = shapes[shape];
  const model = new MglmmForCausalLM(config, { dtype: 'bf16' });
  const tensors = [...model.stateDict()].map(([key, { shape: sizes }], i) =>
    computedToWrite(key, sizes, 'bf16', async () => weight(key, sizes, i + 1)),
  );
  await writeCheckpoint(folder, tensors, { onProgress: ({ bytes, totalBytes }) => onProgress?.(bytes / totalBytes) });
  model.dispose();
  const json = (name: string, value: unknown) => writeFile(join(folder, name), JSON.stringify(value, undefined, 1));
  await json('added_tokens.json', Object.fromEntries(addedTokens.map((token, i) => [token, pieces + i])));
  await writeFile(join(folder, 'tokenizer.model'), tinyTokenizer(pieces));
  await json('config.json', jsonOf(config));
}

/** In the words of the published config.json files. */
function jsonOf({ llama: decoder, clip: tower, sam }: MglmmConfig) {
  return {
    vocab_size: decoder.vocabSize,
    hidden_size: decoder.dim,
    intermediate_size: decoder.mlpDim,
    num_hidden_layers: decoder.depth,
    num_attention_heads: decoder.heads,
    num_key_value_heads: decoder.kvHeads,
    rms_norm_eps: decoder.eps,
    max_position_embeddings: decoder.context,
    mm_use_im_start_end: true,
    mm_vision_select_layer: tower.selectLayer,
    vision_config: {
      hidden_size: tower.dim,
      intermediate_size: tower.mlpDim,
      num_hidden_layers: tower.depth,
      num_attention_heads: tower.heads,
      image_size: tower.imageSize,
      patch_size: tower.patchSize,
    },
    ...(sam && {
      segment_encoder_config: {
        image_size: sam.imageSize,
        patch_size: sam.patchSize,
        encoder_embed_dim: sam.dim,
        encoder_depth: sam.depth,
        encoder_num_heads: sam.heads,
        encoder_global_attn_indexes: sam.globalBlocks,
        window_size: sam.windowSize,
        mlp_ratio: sam.mlpDim / sam.dim,
      },
    }),
  };
}
