import { Clip, clipPresets, noGradients } from '../../lib';
import { normal, torchDtype } from '../data';
import { pair } from '../harness';

const config = clipPresets['vit-large-patch14-336'];
const tokens = (config.imageSize / config.patchSize) ** 2 + 1;
const layers = config.depth - 1; // up to the feature
const flops = layers * (2 * tokens * (4 * config.dim ** 2 + 2 * config.dim * config.mlpDim) + 4 * tokens ** 2 * config.dim);

/** PyTorch's side stops at the same layer. */
const one = (dtype: 'f32' | 'bf16', batch: number, goal?: number) =>
  pair(`CLIP ViT-L/14-336 ${dtype}, ${batch} image(s)`, {
    ours: async () => {
      const clip = new Clip(config, { dtype });
      clip.initialize(1).pack();
      const pixels = await normal([batch, 3, config.imageSize, config.imageSize], dtype);
      return () => void noGradients(() => clip.forward(pixels));
    },
    torch: {
      setup: `
        from transformers import CLIPVisionConfig, CLIPVisionModel
        config = CLIPVisionConfig(hidden_size=${config.dim}, intermediate_size=${config.mlpDim}, num_hidden_layers=${layers},
                                  num_attention_heads=${config.heads}, image_size=${config.imageSize}, patch_size=${config.patchSize})
        clip = CLIPVisionModel(config).to(${torchDtype[dtype]}).eval()
        pixels = torch.randn(${batch}, 3, ${config.imageSize}, ${config.imageSize}).to(${torchDtype[dtype]})
      `,
      run: 'clip(pixels).last_hidden_state[:, 1:]',
    },
    flops: batch * flops,
    goal,
  });

export default [one('bf16', 1, 1.4), one('f32', 1), one('bf16', 4)];
