/** What a device does beyond its ops: names, memory, copies, errors that only it can find. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import {
  add,
  backendName,
  backward,
  cast,
  cudaProblem,
  type Device,
  devices,
  embedding,
  memory,
  noGradients,
  onDevice,
  Program,
  relu,
  resetPeak,
  setDefaultDevice,
  setMemoryLimit,
  sum,
  synchronize,
  tensor,
  trimMemory,
  upload,
  zeros,
} from '../../lib';
import { randnArray } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { collectGarbage } from '../support/garbage';

describe('devices', () => {
  test('are the CPU and what a driver finds, else there is a reason', () => {
    const [first, ...gpus] = devices();
    assert.equal(first, 'cpu');
    assert.deepEqual(
      gpus,
      gpus.map((_, index) => `cuda:${index}`),
    );
    if (gpus.length > 0) assert.equal(cudaProblem(), undefined);
    else assert.match(cudaProblem() ?? '', /CUDA|GPU/);
  });

  test('go by their names', () => {
    assert.match(backendName(), /^cpu /);
    assert.throws(() => setDefaultDevice('gpu' as Device), {
      name: 'ArgumentError',
      message: /^device is "gpu", expected "cpu", "cuda" or/,
    });
    assert.throws(() => setDefaultDevice('cuda:98'), { name: 'DeviceError', message: /cuda:98/ });
    assert.equal(tensor([1]).device, 'cpu');
  });
});

onEveryDevice('onDevice', (here) => {
  test('holds for what is called and awaited, and for nobody beside it', async () => {
    const elsewhere = here === 'cpu' ? (devices()[1] ?? 'cpu') : 'cpu';
    const later = async () => {
      await synchronize();
      return [zeros([2]).device, onDevice(here, () => tensor([1]).device)];
    };
    const [inside, outside] = await Promise.all([onDevice(elsewhere, later), later()]);
    assert.deepEqual(
      [inside, outside],
      [
        [elsewhere, here],
        [here, here],
      ],
    );
    assert.throws(() => onDevice('cuda:98', () => assert.fail()), { name: 'DeviceError', message: /cuda:98/ });
  });

  test('a gradient is made where its loss is', async () => {
    const elsewhere = devices()[1] ?? 'cpu';
    const x = onDevice(elsewhere, () => tensor([2, 3]));
    x.requiresGrad = true;
    onDevice('cpu', () => backward(sum(relu(x))));
    assert.deepEqual([x.grad?.device, [...((await x.grad?.read()) ?? [])]], [elsewhere, [1, 1]]);
    x.grad?.dispose();
  });
});

onEveryDevice('memory', (here) => {
  test('is counted, given back, and limited by an error that is survived', async () => {
    await collectGarbage();
    trimMemory(here);
    resetPeak(here);
    const before = memory(here).liveBytes;
    const megabyte = 1 << 20;
    const x = zeros([megabyte], 'u8');
    await synchronize();
    assert.ok(memory(here).liveBytes >= before + megabyte - 4096);
    x.dispose();
    await synchronize();
    assert.ok(memory(here).liveBytes < before + megabyte - 4096);
    assert.ok(memory(here).peakBytes >= before + megabyte - 4096);
    const { limitBytes } = memory(here);
    const limited = async () => {
      setMemoryLimit(memory(here).liveBytes + 3 * megabyte, here);
      await synchronize();
      const held = [zeros([megabyte], 'u8'), zeros([megabyte], 'u8')];
      const tooMuch = zeros([megabyte + 1], 'u8');
      await assert.rejects(tooMuch.read(), {
        name: 'OutOfMemoryError',
        message: /cannot allocate 1048577 bytes on (cpu|cuda:\d): \d+ are in use, the limit/,
      });
      await assert.rejects(relu(cast(tooMuch, 'bf16')).read(), { name: 'OutOfMemoryError' });
      for (const one of held) one.dispose();
      await synchronize();
      assert.equal((await zeros([megabyte], 'u8').read()).length, megabyte);
      assert.throws(() => zeros([100 * megabyte], 'u8'), { name: 'OutOfMemoryError' });
    };
    await limited().finally(() => setMemoryLimit(limitBytes, here));
    await synchronize();
  });

  test('takes and gives arrays larger than what is pinned for copies', async () => {
    const values = new Float32Array((5 << 19) + 77).map((_, i) => i % 4099); // 10 MiB
    const x = await upload(values, [values.length]);
    assert.ok(Buffer.from((await x.read()).buffer).equals(Buffer.from(values.buffer)));
    const half = (await upload(new Uint16Array([0x3f80, 0xc000, 0x7f80]), [3], 'bf16')) as ReturnType<typeof zeros>;
    assert.deepEqual([...(await half.read())], [1, -2, Infinity]);
    assert.deepEqual([...(await half.readBits())], [0x3f80, 0xc000, 0x7f80]);
  });

  test('of a program is given back within a run', async () => {
    const x = tensor(randnArray(1000, 1));
    using program = new Program();
    const y = noGradients(() =>
      program.record(() => {
        let next = x;
        for (let i = 0; i < 10; i++) {
          const last = next;
          next = add(last, x);
          if (last !== x) last.dispose();
        }
        return next;
      }),
    );
    await collectGarbage();
    resetPeak(here);
    const before = memory(here).liveBytes;
    program.run();
    program.run();
    const [values, sums] = [await x.read(), await y.read()];
    assert.ok(sums.every((sum, i) => Math.abs(sum - 11 * (values[i] as number)) < 1e-4));
    assert.ok(memory(here).peakBytes - before <= 4 * 4096, `${memory(here).peakBytes - before} bytes`);
  });
});

onEveryDevice('an error that only the device can find', () => {
  const table = () => tensor([1, 2, 3], [3, 1]);
  const ids = (...values: number[]) => tensor(values, [values.length], 'i32');
  const wrong = { name: 'ArgumentError', message: 'embedding: ids[1] is 3, expected 0 to 2' };

  test('reaches whoever reads what was made of it, and nobody else', async () => {
    const [bad, good] = [embedding(table(), ids(0, 3, 4)), embedding(table(), ids(2, 1))];
    const later = relu(add(bad, bad));
    assert.deepEqual([...(await relu(good).read())], [3, 2]);
    await assert.rejects(later.read(), wrong);
    await assert.rejects(relu(later).read(), wrong);
    await assert.rejects(bad.read(), wrong);
    await synchronize();
  });

  test('is one, by however many ways it comes', async () => {
    const doubled = (x: ReturnType<typeof zeros>) => Array.from({ length: 40 }).reduce<typeof x>((sum) => add(sum, sum), x);
    assert.deepEqual([...(await doubled(embedding(table(), ids(2))).read())], [3 * 2 ** 40]);
    await assert.rejects(doubled(embedding(table(), ids(0, 3))).read(), wrong);
    await synchronize();
  });

  test('is told by synchronize when nobody reads', async () => {
    embedding(table(), ids(0, 3));
    await assert.rejects(synchronize(), wrong);
    await synchronize();
  });

  test('is found among more ops than are looked at at a time', async () => {
    const rows = table();
    const made = Array.from({ length: 2100 }, (_, i) => embedding(rows, ids(i === 1500 ? 9 : 1)));
    await assert.rejects((made[1500] as ReturnType<typeof zeros>).read(), { message: 'embedding: ids[0] is 9, expected 0 to 2' });
    assert.deepEqual([...(await (made[2099] as ReturnType<typeof zeros>).read())], [2]);
  });
});
