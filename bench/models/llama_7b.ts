/** The language model of MGLMM-7B alone, with random weights, beside that of transformers: what `bench/answer.ts` asks as a whole. */
import { generate, type LlamaConfig, LlamaForCausalLM, noGradients, tensor } from '../../lib';
import { pair, type RunBeyond } from '../harness';
import { shapes } from '../random_model';

const kPrompt = 128;
const kPrefill = 700;
/** In front of those that count: the prompt and, on our side, what a step is captured from. */
const kFirstTokens = 8;
const kTokens = 32;

/** @returns A run that makes so many tokens. */
function ours(config: LlamaConfig, prompt: number) {
  const llama = LlamaForCausalLM.of(config, { dtype: 'bf16' }).initialize(1).pack();
  const ids = tensor(
    Int32Array.from({ length: prompt }, (_, i) => (10 + i * 7919) % config.vocabSize),
    [1, prompt],
  );
  const embeddings = noGradients(() => llama.model.embedTokens.forward(ids));
  return (maxNewTokens: number) => async () => {
    // No token ends the answer.
    for await (const _ of generate(llama, [{ embeddings }], { eos: config.vocabSize, maxNewTokens }));
  };
}

/** Of a longer answer, less the time of a shorter one. */
function oursOfTokens(config: LlamaConfig): RunBeyond {
  const run = ours(config, kPrompt);
  return [run(kFirstTokens + kTokens), run(kFirstTokens)];
}

const setup = (config: LlamaConfig, prompt: number) => `
  from transformers import LlamaConfig, LlamaForCausalLM
  torch.set_default_dtype(torch.bfloat16)
  model = LlamaForCausalLM(LlamaConfig(vocab_size=${config.vocabSize}, hidden_size=${config.dim}, intermediate_size=${config.mlpDim},
      num_hidden_layers=${config.depth}, num_attention_heads=${config.heads}, num_key_value_heads=${config.kvHeads},
      rms_norm_eps=${config.eps}, max_position_embeddings=${config.context}, attn_implementation='sdpa')).eval()
  torch.set_default_dtype(torch.float32)
  prompt = torch.randint(10, ${config.vocabSize}, (1, ${prompt}))
  mask = torch.ones_like(prompt)
`;

export function cases(name: string, config: LlamaConfig) {
  const { dim, mlpDim, depth, heads, kvHeads, headDim, vocabSize } = config;
  const layers = depth * (2 * dim * (heads + kvHeads) * headDim + 3 * dim * mlpDim);
  const answer = `${name} bf16, ${kTokens} tokens after a prompt of ${kPrompt} and ${kFirstTokens}`;
  // Each token reads every weight once.
  const bytes = kTokens * 2 * (layers + vocabSize * dim);
  const torchRun = (tokens: number) =>
    `model.generate(prompt, attention_mask=mask, do_sample=False, min_new_tokens=${tokens}, max_new_tokens=${tokens}, pad_token_id=0)`;
  return [
    pair(answer, {
      ours: () => oursOfTokens(config),
      torch: { setup: setup(config, kPrompt), run: torchRun(kFirstTokens + kTokens), less: torchRun(kFirstTokens) },
      bytes,
      gpuOnly: true,
      gpuGoal: 2,
    }),
    pair(`${answer}, of the memory's rate`, {
      ours: () => oursOfTokens(config),
      bytes,
      gpuOnly: true,
      gpuGoal: { share: 0.8 },
    }),
    pair(`${name} bf16, a prompt of ${kPrefill}`, {
      ours: () => ours(config, kPrefill)(1),
      torch: { setup: setup(config, kPrefill), run: 'model(prompt, use_cache=True, logits_to_keep=1)' },
      flops: kPrefill * (2 * layers + 2 * depth * heads * headDim * kPrefill) + 2 * vocabSize * dim,
      gpuOnly: true,
      gpuGoal: { share: 0.6, of: 790 },
    }),
  ];
}

export default cases('LLaMA 7B', shapes['7b'].llama);
