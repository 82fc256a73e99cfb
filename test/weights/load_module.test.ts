import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type Checkpoint, loadModule, memory, nn, openCheckpoint, Scope, synchronize } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';
import { AnyModule, floats, safetensorsOf, temporaryFolder, type WrittenTensor } from '../support/weights';

class Mlp extends nn.Module {
  readonly fc1 = new nn.Linear(128, 64);
  readonly norm = new nn.RmsNorm(64);
  readonly fc2 = new nn.Linear(64, 8, { bias: false });
}

const random = (shape: number[], seed: number): WrittenTensor => {
  const count = shape.reduce((product, size) => product * size, 1);
  return floats(
    shape,
    Array.from({ length: count }, (_, i) => Math.sin(seed + i * 1.7)),
  );
};
const weights = {
  'fc1.weight': random([64, 128], 1),
  'fc1.bias': random([64], 2),
  'norm.weight': random([64], 3),
  'fc2.weight': random([8, 64], 4),
};

async function withCheckpoint(
  tensors: Readonly<Record<string, WrittenTensor>>,
  run: (checkpoint: Checkpoint) => Promise<void>,
): Promise<void> {
  using folder = temporaryFolder();
  using _scope = Scope.open();
  await run(await openCheckpoint(folder.file('weights.safetensors', safetensorsOf(tensors))));
}

onEveryDevice('loadModule', (device) => {
  test('loads every tensor, mapped where it can be, and says how far it is', async () => {
    await withCheckpoint(weights, async (checkpoint) => {
      const module = new Mlp();
      await synchronize();
      const [before, steps] = [memory(), [] as number[]];
      const report = await loadModule(module, { checkpoint }, { onProgress: ({ bytes, totalBytes }) => steps.push(bytes / totalBytes) });
      // On a GPU none of the file is held.
      assert.equal(memory().mappedBytes - before.mappedBytes, device === 'cpu' ? 4 * (64 * 128 + 64 + 64 + 8 * 64) : 0);
      assert.ok(module.parameters().every((one) => one.device === device));
      assert.deepEqual(report, { loaded: Object.keys(weights), ignored: [], unexpected: [] });
      assert.equal(steps.length, 4);
      assert.equal(steps.at(-1), 1);
      assert.deepEqual(new Uint8Array((await module.norm.weight.read()).buffer), weights['norm.weight'].bytes);
      module.dispose();
    });
  });

  test('casts to the dtype of the parameters, or to what is asked for by key', async () => {
    await withCheckpoint(weights, async (checkpoint) => {
      const linear = new nn.Linear(128, 64, { dtype: 'bf16' });
      await loadModule(linear, { checkpoint, keyOf: (name) => (name.startsWith('fc1.') ? name.slice(4) : null) });
      assert.equal(linear.weight.dtype, 'bf16');
      linear.dispose();
      const module = new Mlp();
      await loadModule(module, { checkpoint }, { dtype: (key) => (key.startsWith('fc1') ? 'f16' : undefined) });
      assert.deepEqual(
        module.parameters().map(({ dtype }) => dtype),
        ['f16', 'f16', 'f32', 'f32'],
      );
      module.dispose();
    });
  });

  test('packs and quantizes as it goes, with the results of doing so afterwards', async () => {
    await withCheckpoint(weights, async (checkpoint) => {
      const x = randn([3, 128], 1);
      const [plain, packed, small, afterwards] = [new Mlp(), new Mlp(), new Mlp(), new Mlp()];
      for (const module of [plain, afterwards]) await loadModule(module, { checkpoint });
      await loadModule(packed, { checkpoint }, { pack: true });
      await loadModule(small, { checkpoint }, { pack: true, quantize: (key) => (key === 'fc1.weight' ? 'int8' : undefined) });
      const layout = device === 'cpu' ? 'packed' : 'rows';
      assert.deepEqual([packed.fc1.weight.layout, packed.fc2.weight.layout], [layout, layout]);
      assert.deepEqual([small.fc1.quantization, small.fc2.weight.layout], ['int8', layout]);
      afterwards.quantize('int8', (key) => key === 'fc1.weight');
      assert.deepEqual(await packed.fc1.forward(x).read(), await plain.pack().fc1.forward(x).read());
      assert.deepEqual(await small.fc1.forward(x).read(), await afterwards.fc1.forward(x).read());
      for (const module of [plain, packed, small, afterwards]) module.dispose();
    });
  });

  test('takes several sources, and tells what is ignored and what is unexpected', async () => {
    await withCheckpoint({ ...weights, extra: floats([1], [1]) }, async (checkpoint) => {
      using folder = temporaryFolder();
      const tower = await openCheckpoint(
        folder.file('t.safetensors', safetensorsOf({ 'x.weight': floats([2], [5, 6]), position_ids: floats([1], [0]) })),
      );
      const module = new AnyModule(
        new Map([
          ...checkpoint.names.filter((name) => name !== 'extra').map((name) => [name, checkpoint.get(name).shape] as const),
          ['tower.x.weight', [2]],
        ]),
      );
      const report = await loadModule(module, [
        { checkpoint },
        { checkpoint: tower, keyOf: (name) => (name === 'position_ids' ? null : `tower.${name}`) },
      ]);
      assert.deepEqual([report.ignored, report.unexpected], [['position_ids'], ['extra']]);
      assert.deepEqual(Array.from(await module.get('tower.x.weight').read()), [5, 6]);
      await assert.rejects(loadModule(module, [{ checkpoint }, { checkpoint }]), {
        code: 'MGLMM_CHECKPOINT',
        message: /^fc1\.weight is in .* and again in /,
      });
      module.dispose();
    });
  });

  test('changes nothing when something does not fit', async () => {
    const { 'norm.weight': _, ...rest } = weights;
    await withCheckpoint(
      { ...rest, 'nrom.weight': random([64], 3), 'fc1.bias': { dtype: 'I32', shape: [64], bytes: new Uint8Array(256) } },
      async (checkpoint) => {
        const module = new Mlp();
        const { weight } = module.fc1;
        await assert.rejects(loadModule(module, { checkpoint }), (error: Error) => {
          assert.match(
            error.message,
            /^the tensors of .*weights\.safetensors do not fit the model:\n {2}missing: norm\.weight, but there is nrom\.weight\n/,
          );
          assert.match(error.message, /misshapen: fc1\.bias is i32, expected numbers with fractions$/);
          return true;
        });
        assert.equal(module.fc1.weight, weight);
        module.dispose();
      },
    );
  });

  test('refuses NaN and infinity, unless told not to look', async () => {
    const bad = {
      ...weights,
      'fc1.bias': floats(
        [64],
        Array.from({ length: 64 }, (_, i) => (i === 3 ? Number.NaN : i === 4 ? -Infinity : i)),
      ),
    };
    await withCheckpoint(bad, async (checkpoint) => {
      const module = new Mlp();
      await assert.rejects(loadModule(module, { checkpoint }), {
        code: 'MGLMM_CHECKPOINT_NOT_FINITE',
        message: /: fc1\.bias has 2 of 64 values that are NaN or infinite$/,
      });
      await loadModule(module, { checkpoint }, { checkFinite: false });
      module.dispose();
    });
  });

  test('does not take large values for infinite ones', async () => {
    await withCheckpoint({ weight: floats([4], [3e38, 3e38, 3e38, 1]) }, async (checkpoint) => {
      const module = new nn.RmsNorm(4);
      await loadModule(module, { checkpoint });
      module.dispose();
    });
  });

  test('refuses LoRA that is not merged, and says what to do', async () => {
    await withCheckpoint({ ...weights, 'fc1.lora_A': floats([1, 128], new Array<number>(128).fill(0)) }, async (checkpoint) => {
      const module = new Mlp();
      await assert.rejects(loadModule(module, { checkpoint }), {
        code: 'MGLMM_CHECKPOINT',
        message: /not merged, such as fc1\.lora_A: run mglmm merge first$/,
      });
      module.dispose();
    });
  });

  test('stops between two tensors', async () => {
    await withCheckpoint(weights, async (checkpoint) => {
      const module = new Mlp();
      const controller = new AbortController();
      const loading = loadModule(
        module,
        { checkpoint },
        { signal: controller.signal, onProgress: () => controller.abort(new Error('enough')) },
      );
      await assert.rejects(loading, { code: 'MGLMM_ABORTED', message: 'loading was aborted before fc1.bias' });
      module.dispose();
    });
  });

  test('gives back all it took', async () => {
    await collectGarbage();
    const before = [memory(device).liveBytes, memory().mappedBytes];
    await withCheckpoint(weights, async (checkpoint) => {
      for (const pack of [false, true]) {
        const module = new Mlp();
        await loadModule(module, { checkpoint }, { pack });
        module.dispose();
      }
    });
    await synchronize();
    assert.deepEqual([memory(device).liveBytes, memory().mappedBytes], before);
  });
});
