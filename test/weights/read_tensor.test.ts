import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { Scope } from '../../lib';
import { readTensor } from '../../lib/weights/read_tensor';
import type { StoredDtype, StoredTensor } from '../../lib/weights/stored';
import { temporaryFolder } from '../support/weights';

const bytesOf = (array: { buffer: ArrayBufferLike }) => new Uint8Array(array.buffer as ArrayBuffer);

/** A tensor that is stored as `bytes`, `offset` bytes into its file. */
async function readBack(
  bytes: Uint8Array,
  stored: Partial<StoredTensor> & { dtype: StoredDtype; shape: readonly number[] },
  offset = 0,
): Promise<number[]> {
  using folder = temporaryFolder();
  using _scope = Scope.open();
  const file = folder.file('values', Buffer.concat([Buffer.alloc(offset), bytes]));
  return Array.from(await (await readTensor({ name: 'x', file, offset, bytes: bytes.length, ...stored })).read());
}

describe('readTensor', () => {
  test('reads every dtype that fits', async () => {
    const read = (bytes: Uint8Array, dtype: StoredDtype) => readBack(bytes, { dtype, shape: [3] });
    assert.deepEqual(await read(bytesOf(Float32Array.of(1, -2.5, 3)), 'f32'), [1, -2.5, 3]);
    assert.deepEqual(await read(bytesOf(Float64Array.of(1, -2.5, 3)), 'f64'), [1, -2.5, 3]);
    assert.deepEqual(await read(bytesOf(Uint16Array.of(0x3f80, 0xc020, 0x4040)), 'bf16'), [1, -2.5, 3]);
    assert.deepEqual(await read(bytesOf(Uint16Array.of(0x3c00, 0xc100, 0x4200)), 'f16'), [1, -2.5, 3]);
    assert.deepEqual(await read(bytesOf(BigInt64Array.of(1n, -2n, 3n)), 'i64'), [1, -2, 3]);
    assert.deepEqual(await read(bytesOf(BigUint64Array.of(1n, 2n, 3n)), 'u64'), [1, 2, 3]);
    assert.deepEqual(await read(bytesOf(Int32Array.of(1, -2, 3)), 'i32'), [1, -2, 3]);
    assert.deepEqual(await read(bytesOf(Uint32Array.of(1, 2, 3)), 'u32'), [1, 2, 3]);
    assert.deepEqual(await read(bytesOf(Int16Array.of(1, -2, 3)), 'i16'), [1, -2, 3]);
    assert.deepEqual(await read(bytesOf(Uint16Array.of(1, 2, 3)), 'u16'), [1, 2, 3]);
    assert.deepEqual(await read(bytesOf(Int8Array.of(1, -2, 3)), 'i8'), [1, -2, 3]);
    assert.deepEqual(await read(Uint8Array.of(1, 2, 3), 'u8'), [1, 2, 3]);
    assert.deepEqual(await read(Uint8Array.of(1, 0, 1), 'bool'), [1, 0, 1]);
  });

  test('refuses what does not fit', async () => {
    await assert.rejects(readBack(bytesOf(BigInt64Array.of(2n ** 31n)), { dtype: 'i64', shape: [1] }), {
      code: 'MGLMM_ARGUMENT',
      message: /x has 2147483648, expected integers of at most 32 bits$/,
    });
    await assert.rejects(readBack(Uint8Array.of(1), { dtype: 'f8_e4m3', shape: [1] }), {
      code: 'MGLMM_DTYPE',
      message: /x is f8_e4m3, expected f32, bf16, f16, i32, u8, bool, f64, i64, i16, i8, u64, u32, u16$/,
    });
  });

  test('reads at addresses that no kernel could, and says when the file ends', async () => {
    const bytes = bytesOf(Float32Array.of(1, 2, 3));
    for (const offset of [0, 1, 2, 3, 4, 7]) assert.deepEqual(await readBack(bytes, { dtype: 'f32', shape: [3] }, offset), [1, 2, 3]);
    await assert.rejects(readBack(bytes, { dtype: 'f32', shape: [4], bytes: 16 }, 1), {
      code: 'MGLMM_CHECKPOINT_FORMAT',
      message: /ends inside of x$/,
    });
  });

  test('puts any view into rows', async () => {
    const axis = fc.record({ size: fc.integer({ min: 0, max: 4 }), step: fc.integer({ min: 0, max: 6 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(axis, { maxLength: 4 }), fc.constantFrom(0, 2), async (axes, offset) => {
        const [shape, strides] = [axes.map(({ size }) => size), axes.map(({ step }) => step)];
        const values = Float32Array.from(
          { length: 1 + axes.reduce((last, { size, step }) => last + Math.max(0, size - 1) * step, 0) },
          (_, i) => i,
        );
        let expected = [0];
        for (const { size, step } of axes) expected = expected.flatMap((at) => Array.from({ length: size }, (_, i) => at + i * step));
        const stored = { dtype: 'f32', shape, strides, bytes: 4 * expected.length } as const;
        assert.deepEqual(await readBack(bytesOf(values), stored, offset), expected);
      }),
      { numRuns: 200 },
    );
  });
});
