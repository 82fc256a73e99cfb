/**
 * npx tsx bench/llama.ts [--kinds bf16,int8,int4] [--rounds N] [--json FILE]: a LLaMA of 1.1 billion random weights beside
 * PyTorch (transformers, bf16) and llama.cpp (the same bits a weight): tokens a second when it answers and when it reads a prompt.
 * The sides take turns. PyTorch is the python of MGLMM_PYTHON; llama.cpp is node-llama-cpp in the node_modules of MGLMM_LLAMA_CPP.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { cpus, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import type { LlamaConfig, LlamaForCausalLM } from '../lib';
import type { GgufKind } from './peers/gguf';

// Before the library is loaded, which reads it.
process.env.MGLMM_THREADS ??= '2';

const kinds = { bf16: 'bf16', int8: 'q8_0', int4: 'q4_0' } as const satisfies Record<string, GgufKind>;
type Kind = keyof typeof kinds;

const config: LlamaConfig = {
  vocabSize: 32000,
  dim: 2048,
  mlpDim: 5632,
  depth: 22,
  heads: 32,
  kvHeads: 4,
  headDim: 64,
  eps: 1e-5,
  ropeBase: 10000,
  context: 2048,
  tiedHead: false,
};
const kPrompt = 128;
const kPrefill = 700;
const kTokens = { ours: 24, torch: 8 } as const;
/** Least ratio to each peer. */
const goals: Record<Kind, { decode: Record<string, number>; prefill: Record<string, number> }> = {
  bf16: { decode: { 'llama.cpp': 1.0 }, prefill: { 'llama.cpp': 2.5, torch: 1.1 } },
  int8: { decode: { 'llama.cpp': 1.2 }, prefill: { 'llama.cpp': 2.5, torch: 1.1 } },
  int4: { decode: { 'llama.cpp': 1.2 }, prefill: { 'llama.cpp': 2.5, torch: 1.1 } },
};

const torchSetup = `
  from transformers import LlamaConfig, LlamaForCausalLM
  config = LlamaConfig(vocab_size=${config.vocabSize}, hidden_size=${config.dim}, intermediate_size=${config.mlpDim},
      num_hidden_layers=${config.depth}, num_attention_heads=${config.heads}, num_key_value_heads=${config.kvHeads},
      rms_norm_eps=${config.eps}, max_position_embeddings=${config.context})
  torch.set_default_dtype(torch.bfloat16)
  with torch.device("meta"):
      model = LlamaForCausalLM(config)
  model = model.to_empty(device=device).eval()
  for name, parameter in model.named_parameters():
      parameter.fill_(1) if "norm" in name else parameter.normal_(0, 0.02)
  model.model.rotary_emb = type(model.model.rotary_emb)(config)
  torch.set_default_dtype(torch.float32)
  prompt, token = torch.randint(0, 30000, (1, ${kPrefill})), torch.randint(0, 30000, (1, 1))
  past = model(prompt[:, :${kPrompt}], use_cache=True, logits_to_keep=1).past_key_values
`;
const torchPrefill = 'model(prompt, use_cache=True, logits_to_keep=1)';
const torchDecode = `
  model(token, past_key_values=past, use_cache=True)
  past.crop(${kPrompt})
`;

const median = (values: readonly number[]) => [...values].sort((a, b) => a - b)[values.length >> 1] as number;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: { kinds: { type: 'string', default: 'bf16,int8,int4' }, rounds: { type: 'string', default: '5' }, json: { type: 'string' } },
  });
  const {
    backendName,
    generate,
    LlamaForCausalLM: Llama,
    noGradients,
    synchronize,
    tensor,
    tidy,
  } = require('../lib') as typeof import('../lib');
  const { LlamaCppPeer } = require('./llama_cpp_peer') as typeof import('./llama_cpp_peer');
  const { TorchPeer } = require('./torch_peer') as typeof import('./torch_peer');
  const { writeRandomGguf } = require('./peers/gguf') as typeof import('./peers/gguf');
  const threads = Number(process.env.MGLMM_THREADS);
  const rounds = Number(values.rounds);

  const ids = (count: number) =>
    tensor(
      Int32Array.from({ length: count }, (_, i) => 10 + ((i * 7919) % 30000)),
      [1, count],
    );
  /** Seconds to the first token, and of the tokens after it. */
  const run = async (llama: LlamaForCausalLM, prompt: number, tokens: number) => {
    const embeddings = noGradients(() => llama.model.embedTokens.forward(ids(prompt)));
    const start = performance.now();
    let first = start;
    for await (const event of generate(llama, [{ embeddings }], { eos: config.vocabSize, maxNewTokens: tokens + 1 }))
      if (event.type === 'token' && event.index === 0) first = performance.now();
    const end = performance.now();
    embeddings.dispose();
    return { prefill: (first - start) / 1000, decode: (end - first) / 1000 };
  };

  const torch = await TorchPeer.start(threads);
  const llamaCpp = await LlamaCppPeer.start();
  console.log(`${cpus()[0]?.model}, ${threads} threads a side, ours: ${backendName()}, node ${process.version}`);
  console.log(typeof torch === 'string' ? `PyTorch is left out: ${torch}` : `PyTorch ${torch.version}`);
  console.log(typeof llamaCpp === 'string' ? `llama.cpp is left out: ${llamaCpp}` : `node-llama-cpp ${llamaCpp.version}`);
  if (typeof torch !== 'string') await torch.open({ setup: torchSetup, run: torchPrefill });
  const folder = await mkdtemp(join(tmpdir(), 'mglmm-gguf-'));
  const results: object[] = [];
  try {
    for (const kind of values.kinds.split(',') as Kind[]) {
      const llama = Llama.of(config, { dtype: 'bf16' }).initialize(1);
      if (kind !== 'bf16') llama.quantize(kind, (key) => !key.includes('embed_tokens'));
      llama.pack();
      await synchronize();
      if (typeof llamaCpp !== 'string') {
        const path = join(folder, `${kind}.gguf`);
        await writeRandomGguf(path, config, kinds[kind]);
        await llamaCpp.open(path, config.context, threads);
      }
      const seconds: Record<'decode' | 'prefill', Record<string, number[]>> = { decode: {}, prefill: {} };
      const note = (what: 'decode' | 'prefill', who: string, value: number) => {
        seconds[what][who] ??= [];
        seconds[what][who].push(value);
      };
      for (let round = 0; round <= rounds; round++) {
        const warm = round === 0;
        const keep = warm ? () => undefined : note;
        keep('decode', 'ours', (await run(llama, kPrompt, kTokens.ours)).decode / kTokens.ours);
        if (typeof llamaCpp !== 'string') keep('decode', 'llama.cpp', (await llamaCpp.decode(kPrompt, kTokens.ours)) / kTokens.ours);
        if (typeof torch !== 'string') {
          await torch.use(torchDecode);
          keep('decode', 'torch', (await torch.block(kTokens.torch)).seconds / kTokens.torch);
        }
        keep('prefill', 'ours', (await run(llama, kPrefill, 1)).prefill / kPrefill);
        if (typeof llamaCpp !== 'string') keep('prefill', 'llama.cpp', (await llamaCpp.prefill(kPrefill)) / kPrefill);
        if (typeof torch !== 'string') {
          await torch.use(torchPrefill);
          keep('prefill', 'torch', (await torch.block(1)).seconds / kPrefill);
        }
      }
      for (const what of ['decode', 'prefill'] as const) {
        const ours = seconds[what].ours as number[];
        for (const [who, theirs] of Object.entries(seconds[what])) {
          const ratio = median(theirs.map((one, i) => one / (ours[i] as number)));
          const goal = goals[kind][what][who];
          const judged = goal === undefined ? '' : `  goal ${goal}x ${ratio >= goal ? 'met' : 'MISSED'}`;
          const rate = `${(1 / median(theirs)).toFixed(1).padStart(7)} tokens/s`;
          console.log(`${kind} ${what.padEnd(8)}${who.padEnd(10)}${rate}${who === 'ours' ? '' : `  ${ratio.toFixed(2)}x${judged}`}`);
          results.push({ kind, what, who, tokensPerSecond: 1 / median(theirs), ratio, goal });
        }
      }
      llama.dispose();
      tidy(() => undefined);
    }
  } finally {
    await rm(folder, { recursive: true, force: true });
    if (typeof torch !== 'string') torch.end();
    if (typeof llamaCpp !== 'string') llamaCpp.end();
  }
  if (values.json) {
    mkdirSync(dirname(values.json), { recursive: true });
    const machine = { processor: cpus()[0]?.model, threads, backend: backendName() };
    writeFileSync(values.json, `${JSON.stringify({ date: new Date().toISOString(), machine, results }, null, 2)}\n`);
  }
}

main().catch((error: unknown) => {
  console.error((error as Error).message);
  process.exit(1);
});
