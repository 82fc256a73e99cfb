import {
  AdamW,
  addLora,
  backward,
  chooseTrainable,
  clipPresets,
  imageTokenId,
  imageTokens,
  labelsWithImage,
  MglmmForCausalLM,
  nn,
  objective,
  samPresets,
  type Tensor,
  teacherForcing,
  tensor,
} from '../../lib';
import { normal } from '../data';
import { pair } from '../harness';

/** Of the language model, and how many images with its words a step takes. */
interface Composition {
  readonly dim: number;
  readonly mlpDim: number;
  readonly heads: number;
  readonly depth: number;
  readonly batch: number;
  /** States within layers are made again for the gradient, on both sides. */
  readonly recompute?: boolean;
}

const small: Composition = { dim: 512, mlpDim: 1376, heads: 8, depth: 8, batch: 2 };
const captions: Composition = { ...small, depth: 24 };
const published: Composition = { dim: 4096, mlpDim: 11008, heads: 32, depth: 32, batch: 16, recompute: true };

const [vocabSize, masks] = [32007, 3];
const [height, width] = [480, 640];
const clip = clipPresets['vit-large-patch14-336'];
const sam = samPresets.vit_b;
const grid = sam.imageSize / sam.patchSize;
const words = 700 - imageTokens({ clip }) + 1;
const segId = vocabSize - 3;
/** Half of the words are an answer, with its `[SEG]`s. */
const ids = Array.from({ length: words }, (_, i) =>
  i === 4 ? imageTokenId : i > words / 2 && i % 17 === 3 ? segId : 5 + ((i * 7919) % 30000),
);
const firstSegs = new Set([...ids.keys()].filter((i) => ids[i] === segId).slice(0, masks));
const row = ids.map((id, i) => (id === segId && !firstSegs.has(i) ? 9 : id));
const llama = ({ dim, mlpDim, heads, depth }: Composition) => ({
  vocabSize,
  dim,
  mlpDim,
  depth,
  heads,
  kvHeads: heads,
  headDim: dim / heads,
  eps: 1e-5,
  ropeBase: 1e4,
  context: 2048,
  tiedHead: false,
});

/** What is trained: LoRA, embeddings, head, the layers between the parts, the mask decoder. Of the encoders there are the results. */
async function ours(composition: Composition, withMasks: boolean) {
  const { batch, recompute } = composition;
  const ofEach = <Value>(value: Value): Value[] => Array.from({ length: batch }, () => value);
  const model = new MglmmForCausalLM({ llama: llama(composition), clip, sam, projector: 'mlp' }, { dtype: 'bf16' });
  const { embedTokens, layers, norm, mmProjector, textHiddenFcs = [] } = model.model;
  const parts = [embedTokens, ...layers, norm, mmProjector, ...textHiddenFcs, model.sam.promptEncoder, model.sam.maskDecoder, model.lmHead];
  for (const [i, part] of parts.entries()) part?.initialize(i);
  addLora(model, { rank: 8, alpha: 16, dropout: 0.05, targets: ['q_proj', 'v_proj'], within: '^model\\.layers\\.' }, 1);
  const trained = chooseTrainable(model, 'mglmm');
  const features = await normal([batch, imageTokens({ clip }), clip.dim], 'bf16', 1);
  const embedding = await normal([1, sam.promptDim, grid, grid], 'bf16', 2);
  const optimizer = new AdamW(trained);
  const lora = [...nn.loraLayers(model).values()];
  let step = 0;
  const inputIds = ofEach(row);
  const labels = labelsWithImage(
    row,
    row.map((id, i) => (i > words / 2 ? id : -100)),
    imageTokens({ clip }),
    -100,
  );
  const target = tensor(
    Uint8Array.from({ length: masks * height * width }, (_, i) => Number(i % 7 < 3)),
    [masks, height, width],
  );
  const placement = { resized: [768, 1024], original: [height, width] } as const;
  return () => {
    step++;
    for (const [i, layer] of lora.entries()) layer.dropoutSeed = 1000 * step + i;
    const { states, predMasks, placements } = teacherForcing(
      model,
      {
        inputIds,
        lengths: ofEach(words),
        features,
        offset: Array.from({ length: batch + 1 }, (_, i) => i),
        embeddings: withMasks ? ofEach(embedding) : undefined,
        placements: ofEach(placement),
      },
      segId,
      { recompute },
    );
    const { loss } = objective({
      states,
      head: model.lmHead?.weight as Tensor,
      labels: tensor(Int32Array.from(ofEach(labels).flat()), [batch, labels.length]),
      predMasks,
      placements,
      gtMasks: ofEach(withMasks ? target : undefined),
    });
    backward(loss);
    optimizer.step({ lr: 1e-4 });
    optimizer.zeroGrad();
  };
}

/** @param rows - Python: the states that logits are made of, and their labels. */
const torch = ({ dim, mlpDim, heads, depth, batch, recompute }: Composition, rows: string) => ({
  setup: `
    import torch.nn as nn
    from transformers import LlamaConfig, LlamaForCausalLM, SamMaskDecoderConfig
    from transformers.models.sam.modeling_sam import SamMaskDecoder
    torch.set_grad_enabled(True)
    torch.set_default_dtype(torch.bfloat16)
    class Lora(nn.Module):
        def __init__(self, base):
            super().__init__()
            self.base, self.a, self.b = base, nn.Linear(base.in_features, 8, bias=False), nn.Linear(8, base.out_features, bias=False)
            self.drop = nn.Dropout(0.05)
        def forward(self, x):
            return self.base(x) + 2 * self.b(self.a(self.drop(x)))
    model = LlamaForCausalLM(LlamaConfig(vocab_size=${vocabSize}, hidden_size=${dim}, intermediate_size=${mlpDim}, num_hidden_layers=${depth},
        num_attention_heads=${heads}, num_key_value_heads=${heads}, rms_norm_eps=1e-5, attn_implementation='sdpa'))
    model.requires_grad_(False)${recompute ? "\n    model.gradient_checkpointing_enable({'use_reentrant': False})" : ''}
    for layer in model.model.layers:
        layer.self_attn.q_proj, layer.self_attn.v_proj = Lora(layer.self_attn.q_proj), Lora(layer.self_attn.v_proj)
        for one in (layer.self_attn.q_proj, layer.self_attn.v_proj):
            one.a.requires_grad_(True); one.b.requires_grad_(True)
    model.model.embed_tokens.requires_grad_(True); model.lm_head.requires_grad_(True)
    project = nn.Sequential(nn.Linear(${clip.dim}, ${dim}), nn.GELU(), nn.Linear(${dim}, ${dim}))
    prompt = nn.Sequential(nn.Linear(${dim}, ${dim}), nn.ReLU(), nn.Linear(${dim}, 256))
    config = SamMaskDecoderConfig()
    config._attn_implementation = 'sdpa'
    decoder = SamMaskDecoder(config)
    parameters = [p for m in (model, project, prompt, decoder) for p in m.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, betas=(0.9, 0.95), weight_decay=0, fused=True)
    features = torch.randn(${batch}, 576, ${clip.dim})
    ids = torch.randint(5, 30000, (${batch}, ${words}))
    labels = torch.full((${batch}, 700), -100)
    labels[:, -${Math.floor(words / 2)}:] = 7
    embedding, positions = torch.randn(1, 256, ${grid}, ${grid}), torch.randn(1, 256, ${grid}, ${grid})
    dense = torch.randn(1, 256, 1, 1).expand(1, 256, ${grid}, ${grid})
    target = (torch.rand(${masks}, ${height}, ${width}) > 0.5).float()
    def step():
        words = model.model.embed_tokens(ids)
        x = torch.cat([words[:, :4], project(features), words[:, 5:]], 1)
        states = model.model(inputs_embeds=x, use_cache=False).last_hidden_state
        rows, wanted = ${rows}
        loss = F.cross_entropy(model.lm_head(rows).float(), wanted)
        for i in range(${batch}):
            text = prompt(states[i, -${masks}:]).view(1, ${masks}, 1, 256)
            low = decoder(embedding, positions, text, dense, multimask_output=False)[0].float().view(1, ${masks}, 256, 256)
            whole = F.interpolate(low, (1024, 1024), mode='bilinear', align_corners=False)[..., :768, :1024]
            mask = F.interpolate(whole, (${height}, ${width}), mode='bilinear', align_corners=False)[0]
            p = mask.sigmoid().flatten(1)
            g = target.flatten(1)
            dice = 1 - (2 * (p / 1000 * g).sum(1) + 1e-6) / ((p / 1000).sum(1) + (g / 1000).sum(1) + 1e-6)
            loss = loss + 2 * F.binary_cross_entropy_with_logits(mask, target) / ${batch} + 0.5 * dice.sum() / ${batch * masks}
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        optimizer.zero_grad()
  `,
  run: 'step()',
});
/** As the published code does it, and only where there is something to learn, as ours. */
const allRows = 'states[:, :-1].flatten(0, 1), labels[:, 1:].reshape(-1)';
const labelledRows = 'states[:, :-1][labels[:, 1:] >= 0], labels[:, 1:][labels[:, 1:] >= 0]';

const plain = 'captions, 24 layers of 512, bf16';

export default [
  pair('LoRA step bf16, 7B, 16 x 700, 48 masks, recomputing', {
    ours: () => ours(published, true),
    torch: torch(published, allRows),
    gpuOnly: true,
    gpuGoal: 1.3,
    memory: true,
  }),
  pair('LoRA step bf16, 8 layers of 512, 2 x 700, 6 masks', {
    ours: () => ours(small, true),
    torch: torch(small, allRows),
    goal: 1.3,
    memory: true,
  }),
  pair('the same, both with logits of answers alone', {
    ours: () => ours(small, true),
    torch: torch(small, labelledRows),
    goal: 1.3,
    memory: true,
  }),
  pair(plain, { ours: () => ours(captions, false), memory: true }),
  pair(`${plain}, recomputing`, {
    ours: () => ours({ ...captions, recompute: true }, false),
    memory: true,
    lighterThan: { name: plain, memory: 3, time: 1.4 },
  }),
];
