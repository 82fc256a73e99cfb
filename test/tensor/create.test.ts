import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, test } from '@jest/globals';
import { empty, enqueueUpload, mapFile, memory, setMemoryLimit, swiglu, synchronize, tensor, upload } from '../../lib';
import { rounded } from '../support/data';
import { collectGarbage } from '../support/garbage';

const folder = mkdtempSync(join(tmpdir(), 'mglmm-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('tensor', () => {
  test('takes the dtype of its array', async () => {
    for (const [data, dtype] of [
      [new Float32Array([1, -2]), 'f32'],
      [new Int32Array([1, -2]), 'i32'],
      [new Uint8Array([1, 2]), 'u8'],
    ] as const) {
      const made = tensor(data);
      assert.equal(made.dtype, dtype);
      assert.deepEqual(made.shape, [2]);
      assert.deepEqual(await made.read(), data);
    }
  });

  test('copies: changes of the array after it do not show', async () => {
    const data = new Float32Array([1, 2]);
    const made = tensor(data);
    data[0] = 9;
    assert.deepEqual(Array.from(await made.read()), [1, 2]);
  });

  test('bf16 and f16 are read widened, or as bits', async () => {
    const values = new Float32Array([1, -0.5, 3.140625]);
    for (const dtype of ['bf16', 'f16'] as const) {
      const made = rounded(values, [3], dtype);
      assert.deepEqual(await made.read(), values);
      assert.ok((await made.readBits()) instanceof Uint16Array);
    }
  });

  test('shape [] is one number, a size 0 is nothing', async () => {
    assert.equal(await tensor([7], []).item(), 7);
    assert.equal((await tensor([], [0, 5]).read()).length, 0);
  });

  test('the one value is of one element', async () => {
    assert.equal(await tensor([7], [1, 1]).item(), 7);
    const message = (shape: string) => ({ name: 'ShapeError', message: `item: x is ${shape}, expected one element` });
    await assert.rejects(tensor([7, 8, 9]).item(), message('[3]'));
    await assert.rejects(tensor([], [0, 5]).item(), message('[0, 5]'));
  });

  const refused: [string, () => unknown, string, string][] = [
    ['a length that does not fit', () => tensor([1, 2, 3], [2]), 'ShapeError', 'tensor: data has 3 elements, expected 2 for shape [2]'],
    ['a negative size', () => tensor([1], [-1]), 'ShapeError', 'tensor: shape: shape has size -1, expected at least 0'],
    ['a fraction', () => empty([1.5]), 'ArgumentError', 'empty: shape[0] is 1.5, expected an integer'],
    ['seven axes', () => empty([1, 1, 1, 1, 1, 1, 1]), 'ShapeError', 'empty: shape: shape has more than 6 axes, expected at most 6'],
    [
      'a product that overflows',
      () => empty([2 ** 40, 2 ** 40]),
      'ShapeError',
      'empty: shape: shape [1099511627776, 1099511627776] has too many elements, expected at most 2^48',
    ],
    [
      'another array',
      () => tensor(new Float64Array(1) as never, [1]),
      'DtypeError',
      'tensor: data is Float64Array, expected Float32Array for dtype f32',
    ],
    ['no array', () => tensor('x' as never, [1]), 'ArgumentError', 'tensor: data is "x", expected a typed array'],
    [
      'a dtype there is not',
      () => tensor([1], [1], 'f64' as never),
      'ArgumentError',
      'tensor: dtype is "f64", expected "f32", "bf16", "f16", "i32" or "u8"',
    ],
    [
      'more than 8 MiB at once',
      () => tensor(new Float32Array(2 ** 21 + 1)),
      'ArgumentError',
      'tensor: data has 8388612 bytes, expected at most 8388608 in a synchronous copy; use `await upload(...)`',
    ],
  ];
  for (const [what, body, name, message] of refused) test(`refuses ${what}`, () => assert.throws(body, { name, message }));

  test('refuses what can never be allocated, with the figures', () =>
    assert.throws(() => empty([2 ** 46]), {
      name: 'OutOfMemoryError',
      message: /^cannot allocate 281474976710656 bytes on cpu: \d+ are in use, the limit is \d+$/,
    }));
});

describe('upload', () => {
  test('copies any size off the thread', async () => {
    const data = new Float32Array(2 ** 22).map((_, i) => i);
    const made = await upload(data, [1024, 4096]);
    assert.deepEqual(made.shape, [1024, 4096]);
    assert.deepEqual(await made.read(), data);
    made.dispose();
  });

  test('refuses as tensor does', () =>
    assert.rejects(upload(new Float32Array(3), [2]), {
      name: 'ShapeError',
      message: 'upload: data has 3 elements, expected 2 for shape [2]',
    }));
});

describe('enqueueUpload', () => {
  test('gives the tensor at once, and ops see the copy', async () => {
    const data = new Float32Array(2 ** 22).map((_, i) => i);
    const made = enqueueUpload(data, [1024, 4096]);
    const gated = swiglu(made, made);
    made.dispose();
    const [first, second] = (await gated.read()) as Float32Array;
    assert.deepEqual([first, (second as number).toFixed(4)], [0, (1 / (1 + Math.exp(-1))).toFixed(4)]);
    gated.dispose();
  });

  test('has its own copy of a few bytes, and refuses many that may shrink', async () => {
    const data = new Float32Array(1 << 20).fill(7);
    const made = enqueueUpload(data, [1 << 20]);
    structuredClone(data.buffer, { transfer: [data.buffer] });
    assert.equal((await made.read())[(1 << 20) - 1], 7);
    const resizable = new (ArrayBuffer as unknown as new (bytes: number, options: object) => ArrayBuffer)(16 << 20, {
      maxByteLength: 32 << 20,
    });
    assert.throws(() => enqueueUpload(new Float32Array(resizable, 0, 4 << 20), [4 << 20]), {
      name: 'ArgumentError',
      message: /^upload: data is in a buffer that can be resized/,
    });
  });

  test('tells a failed copy to the reader of what was computed', async () => {
    const held = await upload(new Float32Array(1000), [1000]);
    await collectGarbage();
    const { limitBytes, liveBytes } = memory();
    setMemoryLimit(liveBytes + 1000);
    const made = enqueueUpload(new Float32Array(1000), [1000]);
    const gated = swiglu(made, made);
    await assert.rejects(gated.read(), { name: 'OutOfMemoryError' }).finally(() => setMemoryLimit(limitBytes));
    held.dispose();
    gated.dispose();
    made.dispose();
  });

  test('refuses as tensor does', () =>
    assert.throws(() => enqueueUpload(new Float32Array(3), [2]), {
      name: 'ShapeError',
      message: 'upload: data has 3 elements, expected 2 for shape [2]',
    }));
});

describe('mapFile', () => {
  const path = join(folder, 'weights.bin');
  writeFileSync(path, Buffer.from(new Float32Array([0, 1, 2, 3, 4]).buffer));

  test('gives a part of the file, at any offset', async () => {
    assert.deepEqual(Array.from(await mapFile(path, 4, [2, 2], 'f32').read()), [1, 2, 3, 4]);
  });

  test('refuses what the file does not have', () => {
    assert.throws(() => mapFile(path, 8, [4], 'f32'), {
      name: 'ArgumentError',
      message: `mapFile: ${path}: has 20 bytes, expected at least 8 + 16`,
    });
    assert.throws(() => mapFile(join(folder, 'none'), 0, [1], 'f32'), { name: 'ArgumentError', message: /No such file/ });
    assert.throws(() => mapFile(folder, 0, [1], 'f32'), { name: 'ArgumentError', message: `mapFile: ${folder}: is not a regular file` });
  });
});

describe('setMemoryLimit', () => {
  for (const bytes of [-1, Number.NaN, Number.POSITIVE_INFINITY, '1000'] as number[])
    test(`refuses ${bytes}, and keeps the limit`, () => {
      const { limitBytes } = memory();
      try {
        assert.throws(() => setMemoryLimit(bytes), {
          name: 'ArgumentError',
          message: `setMemoryLimit: bytes is ${bytes}, expected a finite number, 0 or more`,
        });
        assert.equal(memory().limitBytes, limitBytes);
      } finally {
        setMemoryLimit(limitBytes);
      }
    });
});

describe('a failed op', () => {
  test('rejects the read of its result, and of what was computed from it, with its own error', async () => {
    const limit = memory().limitBytes;
    const [gate, up] = [tensor(new Float32Array(1 << 20)), tensor(new Float32Array(1 << 20))];
    await collectGarbage();
    setMemoryLimit(memory().liveBytes + (5 << 20));
    try {
      const first = swiglu(gate, up);
      const second = swiglu(gate, up);
      const third = swiglu(second, second);
      await assert.rejects(third.read(), { name: 'OutOfMemoryError', message: /^cannot allocate 4194304 bytes on cpu/ });
      await assert.rejects(second.read(), { name: 'OutOfMemoryError' });
      assert.equal((await first.read()).length, 1 << 20);
    } finally {
      setMemoryLimit(limit);
    }
    await synchronize().catch(() => {});
    assert.equal((await swiglu(gate, up).read()).length, 1 << 20);
  });

  test('synchronize tells what no read has told, once', async () => {
    const never = empty([3]);
    swiglu(never, never);
    await assert.rejects(synchronize(), { name: 'ArgumentError', message: 'swiglu: an input was never written' });
    await synchronize();
  });

  test('is told by synchronize where a read has told of another', async () => {
    const never = empty([3]);
    swiglu(never, never);
    await assert.rejects(empty([3]).read(), { message: 'read: the tensor was never written' });
    await assert.rejects(synchronize(), { message: 'swiglu: an input was never written' });
    await synchronize();
  });
});
