/**
 * npx tsx bench/roofline.ts >docs/roofline.md, then npm run format: what each case of the benchmarks takes on an H200 at least, from its FLOPs and bytes. Nothing
 * is run but what case files do when they are loaded.
 */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Case } from './harness';

/** An H200: bytes a second of a copy, read and written; FLOP/s of products of bf16, and of f32 outside the tensor cores. */
const memory = 4.3e12;
const products = { bf16: 790e12, f32: 60e12 } as const;

const text = `# Roofline

What a run of each benchmark takes on an H200 at least: its bytes at ${memory / 1e12} TB/s (a copy, read and written), its floating point
operations at ${products.bf16 / 1e12} TFLOP/s in bf16 on tensor cores or ${products.f32 / 1e12} in f32 outside of them, whichever is longer. **These are
predictions**: the three rates are assumed. What an H200 gave is in \`docs/cuda.md\` and \`bench/results/h200.json\`; \`bench/run.ts --device cuda\`
measures the rates of the card it runs on, and says what share of them a kernel reaches. The rate in bf16 is that of \`wgmma\`, by which cuBLASLt and attention
of many queries in heads of 64 and 128 multiply; other attention goes by \`mma\`, and will stay further from it (\`docs/cuda.md\`).

Made by \`npx tsx bench/roofline.ts >docs/roofline.md\` and \`npm run format\` from \`flops\` and \`bytes\` of the case files. A case that states one of the two is judged
by that; one that states neither is not in the table. A launch, some 5 us, comes on top, and rules what is shorter.

| case | MB | GFLOP | predicted us | bound by |
| --- | ---: | ---: | ---: | --- |`;

const casesOf = (folder: string) =>
  readdirSync(join(__dirname, folder))
    .sort()
    .flatMap((file) => [(require(join(__dirname, folder, file)) as { default: Case | Case[] | Case[][] }).default].flat(2) as Case[]);

const short = (value: number) => (value === 0 ? '' : value >= 1000 ? value.toFixed(0) : value.toPrecision(3));

function line({ name, flops = 0, bytes = 0, peak }: Case): string {
  const rate = products[peak ?? (name.includes('bf16') ? 'bf16' : 'f32')];
  const [arithmetic, moving] = [flops / rate, bytes / memory];
  const bound = arithmetic > moving ? 'arithmetic' : 'memory';
  return `| ${name} | ${short(bytes / 1e6)} | ${short(flops / 1e9)} | ${short(Math.max(arithmetic, moving) * 1e6)} | ${bound} |`;
}

const lines = ['ops', 'models'].flatMap(casesOf).filter(({ flops, bytes }) => flops || bytes);
console.log([text, ...lines.map(line)].join('\n'));
