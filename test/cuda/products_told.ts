/** What test/cuda/products.test.ts compares: node --import tsx products_told.ts DEVICE. Tells the bits of products, or what went wrong. */
import { cast, type Device, linear, matmul, setDefaultDevice, type Tensor, tensor } from '../../lib';
import { randn } from '../support/data';

async function main([device = '']: readonly string[]): Promise<void> {
  setDefaultDevice(device as Device);
  const told: Record<string, readonly number[]> = {};
  const bits = async (y: Tensor) => [...((await (y.dtype === 'f32' ? y.read() : y.readBits())) as Float32Array)];
  for (const dtype of ['f32', 'bf16', 'f16'] as const) {
    const [x, weight, bias, residual] = [randn([5, 40], 1, dtype), randn([7, 40], 2, dtype), randn([7], 3, dtype), randn([5, 7], 4, dtype)];
    const made = [linear(x, weight), linear(x, weight, bias), linear(x, weight, bias, { residual }), matmul(residual, weight)];
    for (const [i, y] of made.entries()) told[`${dtype} ${i}`] = await bits(y);
  }
  const bf16 = (values: number[], shape: number[]) => cast(tensor(values, shape), 'bf16');
  const residual = bf16([1024, 1], [1, 2]);
  const sum = linear(bf16([1, 2], [1, 2]), bf16([3, 5, 256, 0], [2, 2]), bf16([0.5, 0.75], [2]), { residual });
  told.sum = [...(await cast(sum, 'f32').read())];
  process.stdout.write(JSON.stringify(told));
}

main(process.argv.slice(2)).catch((error: Error) => process.stdout.write(`${error.name}: ${error.message}`));
