import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { packBits, tensor } from '../../lib';
import { countOf, randn, uniform } from '../support/data';
import { onEveryDevice } from '../support/devices';

/** Bit `x` of each row is set where `set(row * width + x)`, rows padded to 64 bits. */
function packed(shape: readonly number[], set: (i: number) => boolean): Uint8Array {
  const width = shape.at(-1) as number;
  const rowBytes = 8 * Math.ceil(width / 64);
  const bytes = new Uint8Array((countOf(shape.slice(0, -1)) || 0) * rowBytes);
  for (let i = 0; i < countOf(shape); i++) {
    const x = i % width;
    if (set(i)) bytes[Math.floor(i / width) * rowBytes + (x >> 3)]! |= 1 << (x & 7);
  }
  return bytes;
}

onEveryDevice('packBits', () => {
  const shapes = [[1], [3, 63], [2, 5, 64], [2, 3, 257], [1, 4099], [3, 0], [0, 7]];
  for (const shape of shapes) {
    test(`sets the bits of u8 [${shape}]`, async () => {
      const next = uniform(3);
      const masks = Uint8Array.from({ length: countOf(shape) }, () => next() * 4);
      for (const threshold of [0, 1, 2.5, -1, 255]) {
        const bits = await packBits(tensor(masks, shape), threshold).read();
        assert.deepEqual(
          bits,
          packed(shape, (i) => (masks[i] as number) > threshold),
        );
      }
    });
    for (const dtype of ['f32', 'bf16', 'f16'] as const)
      test(`sets the bits of ${dtype} [${shape}]`, async () => {
        const logits = randn(shape, 1, dtype);
        const values = await logits.read();
        for (const threshold of [0, -0.7]) {
          const bits = packBits(logits, threshold);
          assert.deepEqual([...bits.shape], [...shape.slice(0, -1), 8 * Math.ceil((shape.at(-1) as number) / 64)]);
          assert.deepEqual(
            await bits.read(),
            packed(shape, (i) => (values[i] as number) > threshold),
          );
        }
      });
  }

  test('NaN is not above, and the threshold itself is not', async () => {
    const [above, at] = [Math.fround(0.1), Math.fround(0.3)]; // 0.1 is rounded up in f32, 0.3 down
    assert.deepEqual([...(await packBits(tensor([Number.NaN, 0, 1e-40, Number.POSITIVE_INFINITY])).read())], [12, 0, 0, 0, 0, 0, 0, 0]);
    assert.equal((await packBits(tensor([above]), 0.1).read())[0], Number(above > 0.1));
    assert.equal((await packBits(tensor([at]), 0.3).read())[0], Number(at > 0.3));
  });

  test('names what does not fit', () => {
    const refuses = (call: () => unknown, name: string, message: string) => assert.throws(call, { name, message: `packBits: ${message}` });
    refuses(() => packBits(tensor([1], [1], 'i32')), 'DtypeError', 'masks is i32, expected u8, f32, bf16 or f16');
    refuses(() => packBits(tensor([1], [])), 'ShapeError', 'masks is [], expected at least 1 axis');
    refuses(() => packBits(tensor([1]), Number.NaN), 'ArgumentError', 'threshold is nan, expected a finite number');
  });
});
