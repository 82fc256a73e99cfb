import { noGradients, Sam, samPresets } from '../../lib';
import { normal, torchDtype } from '../data';
import { pair, type Sides } from '../harness';

const config = samPresets.vit_b;
const grid = config.imageSize / config.patchSize;

/** Text prompts, as MGLMM's: one token a mask, one mask out. */
const one = (masks: number, dtype: 'f32' | 'bf16', goals: Pick<Sides, 'goal' | 'gpuGoal' | 'gpuOnly'> = {}) =>
  pair(`SAM mask decoder ${dtype}, ${masks} prompt(s)`, {
    ours: async () => {
      const sam = new Sam(config, { dtype });
      sam.promptEncoder.initialize(1);
      sam.maskDecoder.initialize(2).pack();
      const embedding = await normal([1, config.promptDim, grid, grid], dtype, 1);
      const text = await normal([masks, 1, config.promptDim], dtype, 2);
      return () => void noGradients(() => sam.decode(embedding, { text }));
    },
    torch: {
      setup: `
        from transformers import SamMaskDecoderConfig
        from transformers.models.sam.modeling_sam import SamMaskDecoder
        config = SamMaskDecoderConfig()
        config._attn_implementation = 'sdpa'
        decoder = SamMaskDecoder(config).to(${torchDtype[dtype]}).eval()
        embedding, positions = (torch.randn(1, 256, ${grid}, ${grid}).to(${torchDtype[dtype]}) for _ in range(2))
        text = torch.randn(1, ${masks}, 1, 256).to(${torchDtype[dtype]})
        dense = torch.randn(1, 256, 1, 1).to(${torchDtype[dtype]}).expand(1, 256, ${grid}, ${grid})
      `,
      run: 'decoder(embedding, positions, text, dense, multimask_output=False)',
    },
    flops: masks * 2.7e9,
    ...goals,
  });

export default [
  one(64, 'bf16', { gpuOnly: true, gpuGoal: 3 }),
  one(32, 'bf16', { goal: 3 }),
  one(1, 'bf16', { goal: 3 }),
  one(32, 'f32'),
  one(1, 'f32'),
];
