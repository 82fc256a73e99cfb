import { strict as assert } from 'node:assert';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { test } from '@jest/globals';
import { backendName } from '../../lib';
import { onEveryDevice } from '../support/devices';

onEveryDevice('products', (device) => {
  /** What they are where the simulator refuses some of them, as cuBLASLt may; only the simulator looks at what is set here. */
  const products = (refused?: 'plain' | 'none') => {
    const env = { ...process.env, ...(refused && { MGLMM_SIMULATOR_PRODUCTS: refused }) };
    return execFileSync(process.execPath, ['--import', 'tsx', join(__dirname, 'products_told.ts'), device], { env, encoding: 'utf8' });
  };

  test('are the same to the bit where what is added to them is added after, rounded once', () => {
    const together = products();
    assert.equal(products('plain'), together);
    // 1024 + 13.5 and 1 + 256.75 in bf16, whose last bit is 8 there and 2 here.
    assert.deepEqual((JSON.parse(together) as { sum: number[] }).sum, [1040, 258]);
    const refused = products('none');
    if (backendName(device) !== 'cuda simulated') assert.equal(refused, together);
    else assert.match(refused, /^KernelError: .*no algorithm for 1 x \[5, 40\] by \[40, 7\] in f32/);
  });
});
