/**
 * llama.cpp's side of a benchmark, through node-llama-cpp, in a process of its own. MGLMM_LLAMA_CPP is a folder whose node_modules
 * has it. One JSON object a line, errors as {"error": ...}:
 *   {"op": "hello"}                                        -> {"version": "..."}
 *   {"op": "open", "path": "...", "context": 2048, "threads": 2} -> {}
 *   {"op": "prefill", "tokens": 700}                       -> {"seconds": ...}
 *   {"op": "decode", "prompt": 128, "tokens": 32}          -> {"seconds": ...}   of the tokens after the first
 */
const { readFileSync } = require('node:fs');
const { createRequire } = require('node:module');
const { join } = require('node:path');
const { createInterface } = require('node:readline');
const { pathToFileURL } = require('node:url');

const from = createRequire(join(process.env.MGLMM_LLAMA_CPP, 'package.json'));
let library;
let llama;
let model;
let context;
let sequence;

const someTokens = (count) => Array.from({ length: count }, (_, i) => 10 + ((i * 7919) % 30000));

const answers = {
  async hello() {
    const entry = from.resolve('node-llama-cpp');
    library = await import(pathToFileURL(entry).href);
    llama = await library.getLlama({ gpu: false, build: 'never', logLevel: library.LlamaLogLevel.error });
    const about = join(process.env.MGLMM_LLAMA_CPP, 'node_modules/node-llama-cpp/package.json');
    return { version: JSON.parse(readFileSync(about, 'utf8')).version };
  },
  async open({ path, context: contextSize, threads }) {
    await context?.dispose();
    await model?.dispose();
    model = await llama.loadModel({ modelPath: path, gpuLayers: 0 });
    context = await model.createContext({ contextSize, batchSize: 1024, threads: { ideal: threads, min: threads } });
    sequence = context.getSequence();
    return {};
  },
  async prefill({ tokens }) {
    await sequence.clearHistory();
    const start = performance.now();
    await sequence.evaluateWithoutGeneratingNewTokens(someTokens(tokens));
    return { seconds: (performance.now() - start) / 1000 };
  },
  async decode({ prompt, tokens }) {
    await sequence.clearHistory();
    let seen = 0;
    let start = 0;
    for await (const _ of sequence.evaluate(someTokens(prompt), { temperature: 0, yieldEogToken: true })) {
      if (seen++ === 0) start = performance.now();
      if (seen > tokens) break;
    }
    return { seconds: (performance.now() - start) / 1000 };
  },
};

createInterface({ input: process.stdin }).on('line', async (line) => {
  const request = JSON.parse(line);
  let answer;
  try {
    answer = await answers[request.op](request);
  } catch (error) {
    answer = { error: String(error?.message ?? error) };
  }
  process.stdout.write(`${JSON.stringify(answer)}\n`);
});
process.stdin.on('end', () => process.exit(0));
