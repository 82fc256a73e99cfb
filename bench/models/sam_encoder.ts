import { noGradients, Sam, samPresets } from '../../lib';
import { normal, torchDtype } from '../data';
import { pair, type Sides } from '../harness';

/** FLOPs of products, 2 a weight and token, and of attention; docs of the published sizes say the same. */
function flopsOf({
  dim,
  mlpDim,
  depth,
  globalBlocks,
  imageSize,
  patchSize,
  windowSize,
  promptDim,
}: (typeof samPresets)['vit_b' | 'vit_h']): number {
  const tokens = (imageSize / patchSize) ** 2;
  const padded = (Math.ceil(imageSize / patchSize / windowSize) * windowSize) ** 2;
  const block = (seen: number, keys: number) => 8 * dim * dim * seen + 4 * seen * keys * dim + 4 * dim * mlpDim * tokens;
  const windows = depth - globalBlocks.length;
  const neck = 2 * tokens * promptDim * (dim + 9 * promptDim);
  return windows * block(padded, windowSize ** 2) + globalBlocks.length * block(tokens, tokens) + 6 * dim * patchSize ** 2 * tokens + neck;
}

const one = (name: 'vit_b' | 'vit_l' | 'vit_h', dtype: 'f32' | 'bf16', goals: Pick<Sides, 'goal' | 'gpuGoal' | 'gpuOnly'> = {}) => {
  const config = samPresets[name];
  return pair(`SAM ${name} image encoder ${dtype}, 1024 x 1024`, {
    ours: async () => {
      const { imageEncoder } = new Sam(config, { dtype });
      imageEncoder.initialize(1).pack();
      const pixels = await normal([1, 3, config.imageSize, config.imageSize], dtype);
      return () => void noGradients(() => imageEncoder.forward(pixels));
    },
    torch: {
      setup: `
        from transformers import SamVisionConfig
        from transformers.models.sam.modeling_sam import SamVisionEncoder
        config = SamVisionConfig(hidden_size=${config.dim}, num_hidden_layers=${config.depth}, num_attention_heads=${config.heads},
                                 mlp_dim=${config.mlpDim}, global_attn_indexes=[${config.globalBlocks}])
        config._attn_implementation = 'sdpa'
        encoder = SamVisionEncoder(config).to(${torchDtype[dtype]}).eval()
        pixels = torch.randn(1, 3, 1024, 1024).to(${torchDtype[dtype]})
      `,
      run: 'encoder(pixels)',
    },
    flops: flopsOf(config as (typeof samPresets)['vit_b']),
    ...goals,
  });
};

export default [one('vit_h', 'bf16', { gpuOnly: true, gpuGoal: 1.5 }), one('vit_b', 'bf16', { goal: 1.5 }), one('vit_b', 'f32')];
