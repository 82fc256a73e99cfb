/** Inputs of any size for benchmarks: a block of normal numbers, repeated (speed does not depend on the values). */
import { type Dtype, type Tensor, upload } from '../lib';
import { bf16Bits, f16Bits, randnArray } from '../test/support/data';

const kBlock = 65_537; // prime, so that rows of usual lengths differ

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
