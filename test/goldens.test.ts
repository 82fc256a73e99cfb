/** Parity with PyTorch: every case of every folder under MGLMM_GOLDEN/kernels, forward and gradient, within its tolerance. */
import { strict as assert } from 'node:assert';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import { backward, type Tensor } from '../lib';
import { assertWithin } from './support/close';
import { onEveryDevice } from './support/devices';
import {
  type Golden,
  type GoldenCase,
  goldenFolder,
  listFolders,
  readSafetensors,
  type StoredTensor,
  storedOf,
  toTensor,
} from './support/golden';

const kernels = join(goldenFolder, 'kernels');
const ops = listFolders(kernels);

test('there are goldens', () => assert.ok(ops.length > 0, `no folder under ${kernels}`));

async function compare(name: string, actual: Tensor | undefined, expected: StoredTensor, { atol, rtol }: GoldenCase): Promise<void> {
  assert.ok(actual, `${name} is missing`);
  const absolute = typeof atol === 'number' ? atol : (atol[name] as number);
  assert.ok(Number.isFinite(absolute), `${name} has no tolerance`);
  assertWithin(await actual.read(), expected.values, (wanted) => absolute + rtol * Math.abs(wanted), actual, name);
}

for (const op of ops) {
  const folder = join(kernels, op);
  if (!existsSync(join(folder, 'config.json'))) {
    // No tensors: the folder holds one table, and its check reads it.
    describe(op, () => {
      const { checks } = require(`./goldens/${op}`) as { checks: (folder: string) => Record<string, () => void> };
      for (const [name, check] of Object.entries(checks(folder))) test(name, check);
    });
    continue;
  }
  onEveryDevice(`golden ${op}`, () => {
    const { cases } = JSON.parse(readFileSync(join(folder, 'config.json'), 'utf8')) as { cases: GoldenCase[] };
    const inputs = readSafetensors(join(folder, 'inputs.safetensors'));
    const expected = readSafetensors(join(folder, 'expected.safetensors'));
    for (const parameters of cases) {
      test(parameters.name, async () => {
        const { golden } = require(`./goldens/${op}`) as { golden: Golden };
        const given = Object.fromEntries(
          Object.entries(storedOf(inputs, parameters.name)).map(([name, stored]) => [name, toTensor(stored)]),
        );
        const wanted = storedOf(expected, parameters.name);
        assert.ok(Object.keys(wanted).length > 0, 'nothing is expected of this case');
        for (const name of parameters.grad_wrt ?? []) (given[name] as Tensor).requiresGrad = true;
        const results = await golden(given, parameters);
        for (const [name, stored] of Object.entries(wanted))
          if (!name.startsWith('grad_')) await compare(name, results[name], stored, parameters);
        if (!parameters.grad_wrt) return;
        backward(results.out as Tensor, parameters.loss_is_scalar ? undefined : given.dout);
        for (const name of parameters.grad_wrt) {
          const gradient = (given[name] as Tensor).grad;
          await compare(`grad_${name}`, gradient, wanted[`grad_${name}`] as StoredTensor, parameters);
          gradient?.dispose();
        }
      });
    }
  });
}
