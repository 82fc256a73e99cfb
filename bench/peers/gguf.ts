/**
 * Writes a LLaMA with random weights as a GGUF file, the format of llama.cpp, in bf16, q8_0 or q4_0: for timing it beside the same
 * sizes of ours. Format: ggml's docs/gguf.md, version 3.
 */
import { type FileHandle, open } from 'node:fs/promises';
import type { LlamaConfig } from '../../lib';

export type GgufKind = 'bf16' | 'q8_0' | 'q4_0';

/** ggml's number of each type, and the bytes of `values` values. */
const types = {
  f32: { id: 0, values: 1, bytes: 4 },
  q4_0: { id: 2, values: 32, bytes: 18 },
  q8_0: { id: 8, values: 32, bytes: 34 },
  bf16: { id: 30, values: 1, bytes: 2 },
} as const;
type GgmlType = keyof typeof types;

const kAlignment = 32;
const kFileTypes = { bf16: 32, q8_0: 7, q4_0: 2 } as const;
const kMaxPiece = 16 << 20;

interface GgufTensor {
  name: string;
  /** ggml's order: the inner size first. */
  sizes: number[];
  type: GgmlType;
}

function tensorsOf({ vocabSize, dim, mlpDim, depth, heads, kvHeads, headDim }: LlamaConfig, kind: GgufKind): GgufTensor[] {
  const weight = (name: string, rows: number, columns: number): GgufTensor => ({ name, sizes: [columns, rows], type: kind });
  const norm = (name: string): GgufTensor => ({ name, sizes: [dim], type: 'f32' });
  const block = (i: number) => [
    norm(`blk.${i}.attn_norm.weight`),
    weight(`blk.${i}.attn_q.weight`, heads * headDim, dim),
    weight(`blk.${i}.attn_k.weight`, kvHeads * headDim, dim),
    weight(`blk.${i}.attn_v.weight`, kvHeads * headDim, dim),
    weight(`blk.${i}.attn_output.weight`, dim, heads * headDim),
    norm(`blk.${i}.ffn_norm.weight`),
    weight(`blk.${i}.ffn_gate.weight`, mlpDim, dim),
    weight(`blk.${i}.ffn_up.weight`, mlpDim, dim),
    weight(`blk.${i}.ffn_down.weight`, dim, mlpDim),
  ];
  return [
    weight('token_embd.weight', vocabSize, dim),
    ...Array.from({ length: depth }, (_, i) => block(i)).flat(),
    norm('output_norm.weight'),
    weight('output.weight', vocabSize, dim),
  ];
}

const bytesOf = ({ sizes, type }: GgufTensor) =>
  (sizes.reduce((product, size) => product * size, 1) / types[type].values) * types[type].bytes;
const aligned = (bytes: number) => Math.ceil(bytes / kAlignment) * kAlignment;

/** Little-endian numbers and strings one after another. */
class Writer {
  readonly #parts: Buffer[] = [];

  u32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(value);
    return this.raw(bytes);
  }
  u64(value: number): this {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(value));
    return this.raw(bytes);
  }
  f32(value: number): this {
    const bytes = Buffer.alloc(4);
    bytes.writeFloatLE(value);
    return this.raw(bytes);
  }
  text(value: string): this {
    const bytes = Buffer.from(value);
    return this.u64(bytes.length).raw(bytes);
  }
  raw(bytes: Buffer): this {
    this.#parts.push(bytes);
    return this;
  }
  end(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

/** Values of the header: numbers are u32, but for `float`. */
function metadata(
  config: LlamaConfig,
  kind: GgufKind,
): [string, string | number | { float: number } | string[] | { floats: number[] } | { ints: number[] }][] {
  // As LLaMA's: three special tokens, 256 bytes, then pieces. Readers look the bytes up.
  const kBytes = 259;
  const byte = (i: number) => `<0x${(i - 3).toString(16).toUpperCase().padStart(2, '0')}>`;
  const tokens = Array.from({ length: config.vocabSize }, (_, i) => ['<unk>', '<s>', '</s>'][i] ?? (i < kBytes ? byte(i) : `token${i}`));
  return [
    ['general.architecture', 'llama'],
    ['general.name', 'random'],
    ['general.file_type', kFileTypes[kind]],
    ['llama.context_length', config.context],
    ['llama.embedding_length', config.dim],
    ['llama.block_count', config.depth],
    ['llama.feed_forward_length', config.mlpDim],
    ['llama.rope.dimension_count', config.headDim],
    ['llama.attention.head_count', config.heads],
    ['llama.attention.head_count_kv', config.kvHeads],
    ['llama.attention.layer_norm_rms_epsilon', { float: config.eps }],
    ['llama.rope.freq_base', { float: config.ropeBase }],
    ['llama.vocab_size', config.vocabSize],
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.tokens', tokens],
    ['tokenizer.ggml.scores', { floats: tokens.map((_, i) => -i) }],
    ['tokenizer.ggml.token_type', { ints: tokens.map((_, i) => (i === 0 ? 2 : i < 3 ? 3 : i < kBytes ? 6 : 1)) }],
    ['tokenizer.ggml.bos_token_id', 1],
    ['tokenizer.ggml.eos_token_id', 2],
    ['tokenizer.ggml.unknown_token_id', 0],
  ];
}

function header(config: LlamaConfig, kind: GgufKind, tensors: readonly GgufTensor[]): Buffer {
  const [kU32, kI32, kF32, kString, kArray] = [4, 5, 6, 8, 9];
  const entries = metadata(config, kind);
  const out = new Writer().raw(Buffer.from('GGUF')).u32(3).u64(tensors.length).u64(entries.length);
  for (const [key, value] of entries) {
    out.text(key);
    if (typeof value === 'string') out.u32(kString).text(value);
    else if (typeof value === 'number') out.u32(kU32).u32(value);
    else if (Array.isArray(value)) {
      out.u32(kArray).u32(kString).u64(value.length);
      for (const one of value) out.text(one);
    } else if ('float' in value) out.u32(kF32).f32(value.float);
    else if ('floats' in value) {
      out.u32(kArray).u32(kF32).u64(value.floats.length);
      out.raw(Buffer.from(Float32Array.from(value.floats).buffer));
    } else {
      out.u32(kArray).u32(kI32).u64(value.ints.length);
      out.raw(Buffer.from(Int32Array.from(value.ints).buffer));
    }
  }
  let offset = 0;
  for (const tensor of tensors) {
    out.text(tensor.name).u32(tensor.sizes.length);
    for (const size of tensor.sizes) out.u64(size);
    out.u32(types[tensor.type].id).u64(offset);
    offset += aligned(bytesOf(tensor));
  }
  const bytes = out.end();
  return Buffer.concat([bytes, Buffer.alloc(aligned(bytes.length) - bytes.length)]);
}

/** A piece of values of about 0.02 in size, to be repeated: for timing, no value needs to be its own. */
function piece(type: GgmlType): Buffer {
  const { bytes } = types[type];
  const blocks = Math.floor(kMaxPiece / bytes / 64) * 64;
  const buffer = Buffer.alloc(blocks * bytes);
  let state = 0x9e3779b9;
  const next = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  if (type === 'f32') for (let i = 0; i < blocks; i++) buffer.writeFloatLE(1, i * bytes);
  else if (type === 'bf16') {
    // A sign, an exponent of 2^-7 to 2^-6, a mantissa.
    for (let i = 0; i < blocks; i++) {
      const random = next();
      buffer.writeUInt16LE(((random & 1) << 15) | ((120 + (random & 2 ? 1 : 0)) << 7) | ((random >>> 8) & 0x7f), i * bytes);
    }
  } else {
    for (let i = 0; i < blocks * bytes; i++) buffer[i] = next() >>> 24;
    // The scale of each block, f16: 2^-12 for 8 bits, 2^-8 for 4.
    for (let i = 0; i < blocks; i++) buffer.writeUInt16LE(type === 'q8_0' ? 0x0c00 : 0x1c00, i * bytes);
  }
  return buffer;
}

async function fill(file: FileHandle, bytes: number, source: Buffer): Promise<void> {
  for (let left = bytes; left > 0; left -= source.length) await file.write(source, 0, Math.min(left, source.length));
  const padding = aligned(bytes) - bytes;
  if (padding > 0) await file.write(Buffer.alloc(padding));
}

export async function writeRandomGguf(path: string, config: LlamaConfig, kind: GgufKind): Promise<void> {
  const tensors = tensorsOf(config, kind);
  const pieces = new Map<GgmlType, Buffer>();
  const file = await open(path, 'w');
  try {
    await file.write(header(config, kind, tensors));
    for (const tensor of tensors) {
      const source = pieces.get(tensor.type) ?? piece(tensor.type);
      pieces.set(tensor.type, source);
      await fill(file, bytesOf(tensor), source);
    }
  } finally {
    await file.close();
  }
}
