/** Inputs of any size for benchmarks, ours and PyTorch's. */
import { type Dtype, type Tensor, upload } from '../lib';
import { bf16Bits, f16Bits, randnArray } from '../test/support/data';

const kBlock = 65_537; // prime, so that rows of usual lengths differ

/** Bytes an element. */
export const sizeOf = { f32: 4, bf16: 2, f16: 2 } as const;
export const torchDtype = { f32: 'torch.float32', bf16: 'torch.bfloat16', f16: 'torch.float16' } as const;

/** Python of a tensor of normal numbers. */
export const torchNormal = (shape: readonly number[], dtype: keyof typeof torchDtype = 'f32'): string =>
  `torch.randn(${shape.join(', ')}).to(${torchDtype[dtype]})`;

/** Normal numbers: a block of them, repeated, as speed does not depend on the values. */
export async function normal(shape: readonly number[], dtype: Dtype = 'f32', seed = 1): Promise<Tensor> {
  const block = randnArray(kBlock, seed);
  const count = shape.reduce((product, size) => product * size, 1);
  if (dtype === 'f32') return upload(repeated(new Float32Array(count), block), shape);
  const bits = Uint16Array.from(block, dtype === 'bf16' ? bf16Bits : f16Bits);
  return upload(repeated(new Uint16Array(count), bits), shape, dtype);
}

function repeated<Numbers extends Float32Array | Uint16Array>(target: Numbers, block: Numbers): Numbers {
  for (let start = 0; start < target.length; start += block.length) {
    target.set(block.subarray(0, Math.min(block.length, target.length - start)), start);
  }
  return target;
}
