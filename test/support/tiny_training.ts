/** A model small enough to be trained in a test, samples for it, and a source of batches of them. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  addLora,
  type Batch,
  type BatchSource,
  chooseTrainable,
  type Dtype,
  type OpenedModel,
  openModel,
  type RgbImage,
  type Sample,
  type TrainableSet,
} from '../../lib';
import { wordAt } from './random';
import { tinyTokenizer } from './tiny_model';

export const tinySizes = {
  text_config: {
    vocab_size: 80,
    hidden_size: 32,
    intermediate_size: 48,
    num_hidden_layers: 2,
    num_attention_heads: 2,
    max_position_embeddings: 512,
  },
  vision_config: { image_size: 28, patch_size: 14, hidden_size: 16, intermediate_size: 24, num_hidden_layers: 2, num_attention_heads: 2 },
  segment_encoder_config: {
    image_size: 64,
    patch_size: 16,
    encoder_embed_dim: 16,
    encoder_depth: 2,
    encoder_num_heads: 2,
    encoder_global_attn_indexes: [1],
    window_size: 2,
    mlp_ratio: 2,
    prompt_embed_dim: 16,
    decoder_num_heads: 2,
    decoder_mlp_dim: 32,
    iou_head_hidden_dim: 16,
  },
};

const added = { '<im_start>': 73, '<im_end>': 74, '<bbox>': 75, '<point>': 76, '[SEG]': 77, '<p>': 78, '</p>': 79 };

/** Writes the files of a tokenizer for the model of {@link tinySizes}. */
export function writeTinyTokenizer(folder: string): string {
  writeFileSync(join(folder, 'tokenizer.model'), tinyTokenizer(73));
  writeFileSync(join(folder, 'added_tokens.json'), JSON.stringify(added));
  return folder;
}

/** A new model with LoRA, unless everything is trained. */
export async function tinyTrainable(
  folder: string,
  { dtype = 'f32', set = 'mglmm', dropout = 0.1 }: { dtype?: Dtype; set?: TrainableSet; dropout?: number } = {},
): Promise<OpenedModel> {
  const opened = await openModel({ sizes: tinySizes, tokenizer: writeTinyTokenizer(folder), dtype, seed: 7 });
  if (set !== 'full') addLora(opened.model, { rank: 2, alpha: 4, dropout, targets: ['q_proj', 'v_proj'], within: '^model\\.layers' }, 3);
  chooseTrainable(opened.model, set);
  return opened;
}

/** What a sample is made of for tests: its masks as pixels. */
export interface TinySample {
  readonly sample: Sample;
  readonly image: RgbImage;
  readonly masks: readonly Uint8Array[];
}

/** A picture of noise with `masks` rectangles, and an answer that names them. */
export function tinySample(
  index: number,
  { masks = index % 3, width = 20 + index, height = 17, answer }: { masks?: number; width?: number; height?: number; answer?: string } = {},
): TinySample {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => wordAt(index + 1, i) >>> 24);
  const pixels = Array.from({ length: masks }, (_, mask) =>
    Uint8Array.from({ length: width * height }, (_, i) => Number(i % width > mask && i % width < mask + 8 && Math.floor(i / width) > 4)),
  );
  const said = answer ?? (masks === 0 ? 'Nothing.' : Array.from({ length: masks }, (_, i) => `<p> thing ${i} </p> [SEG]`).join(' and '));
  const sample: Sample = {
    id: `sample ${index}`,
    image: `image-${index}`,
    conversation: [{ question: `What is in it, ${index}?`, answer: said }],
    masks: pixels.map(() => ({ size: [height, width], counts: '' })),
    task: 'test',
  };
  return { sample, image: { data, width, height }, masks: pixels };
}

/** Batches of `size` of these, over and over. */
export function tinySource(samples: readonly TinySample[], size = 2): BatchSource {
  return {
    length: Math.ceil(samples.length / size),
    batch: async (index) =>
      batchOf(
        Array.from({ length: size }, (_, i) => samples[(index * size + i) % samples.length] as TinySample),
        index,
      ),
    close: async () => undefined,
  };
}

export const batchOf = (samples: readonly TinySample[], index = 0): Batch => ({
  samples: samples.map(({ sample }) => sample),
  images: samples.map(({ image }) => image),
  masks: samples.map(({ masks }) => masks),
  skipped: 0,
  index,
});
