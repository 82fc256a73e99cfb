import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backendName, cast, linear, matmul, setFloat32MatmulPrecision, tensor } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('setFloat32MatmulPrecision', (device) => {
  // 2^-11 is half of the last of TF32's 10 bits: it goes to the even neighbour.
  const [x, weight, bias] = [[1 + 2 ** -11, 1 + 3 * 2 ** -11, 1 + 2 ** -10], [1, 1 + 2 ** -12, -1], [2 ** -20]];
  const rounded = [1, 1 + 2 ** -9, 1 + 2 ** -10];
  const dot = (a: number[], b: number[]) => a.reduce((sum, value, i) => sum + value * (b[i] as number), 0);
  const exact = Math.fround(dot(x, weight)) + 2 ** -20;
  const product = async () => (await linear(tensor(x, [1, 3]), tensor(weight, [1, 3]), tensor(bias)).item()) as number;

  test('is the highest at first; high rounds what products of f32 multiply, and nothing else', async () => {
    const sixteen = randn([5, 40], 3, 'bf16');
    const [before, squares] = [await product(), await matmul(sixteen, cast(randn([40, 7], 5), 'bf16')).readBits()];
    assert.ok(Math.abs(before - exact) < 2 ** -22, `${before}, expected ${exact}`);
    setFloat32MatmulPrecision('high', device);
    const high = await product();
    if (backendName(device) === 'cuda simulated') assert.equal(high, dot(rounded, [1, 1, -1]) + 2 ** -20);
    else if (device === 'cpu') assert.equal(high, before);
    else assert.ok(Math.abs(high - exact) < 4 * 2 ** -10, `${high}, expected about ${exact}`);
    assert.deepEqual(await matmul(sixteen, cast(randn([40, 7], 5), 'bf16')).readBits(), squares);
    setFloat32MatmulPrecision('highest', device);
    assert.equal(await product(), before);
  });

  test('says what it does not know', () =>
    assert.throws(() => setFloat32MatmulPrecision('medium' as 'high', device), {
      name: 'ArgumentError',
      message: 'setFloat32MatmulPrecision: precision is "medium", expected "highest" or "high"',
    }));
});
