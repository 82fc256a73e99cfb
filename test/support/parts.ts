import { strict as assert } from 'node:assert';
import { backward, type Dtype, randomNormal, rowsView, type Tensor } from '../../lib';

const caches = 32 * 2 ** 20; // bytes; what is larger is stored past them

/** `op` of rows that are larger than the caches has the bits, gradients too, that it has of each half, which is not. */
export async function expectSameInHalves(op: (x: Tensor) => Tensor, dtype: Dtype): Promise<void> {
  const columns = 28711; // odd: rows begin within a line
  const half = Math.ceil((caches * 0.55) / (columns * (dtype === 'f32' ? 4 : 2)));
  const shape = [2 * half, columns];
  const [x, dy] = [randomNormal(shape, { seed: 1, dtype }), randomNormal(shape, { seed: 2, dtype })];
  const both = async (from: Tensor, upstream: Tensor) => {
    from.requiresGrad = true;
    const y = op(from);
    backward(y, upstream);
    const grad = from.grad as Tensor;
    const read = [await y.read(), await grad.read()] as const;
    grad.dispose();
    from.requiresGrad = false;
    return read;
  };
  const whole = await both(x, dy);
  for (const begin of [0, half]) {
    const part = await both(rowsView(x, begin, begin + half), rowsView(dy, begin, begin + half));
    for (const which of [0, 1] as const) {
      const expected = whole[which].subarray(begin * columns, (begin + half) * columns);
      assert.equal(Buffer.compare(bytesOf(part[which]), bytesOf(expected)), 0);
    }
  }
}

function bytesOf({ buffer, byteOffset, byteLength }: NodeJS.TypedArray): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
