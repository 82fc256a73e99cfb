import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { CheckpointError, MglmmError, openCheckpoint, Scope } from '../../../lib';
import { goldenFolder } from '../../support/golden';
import { global, type Picklable, pickleOf, type TorchTensor, torchFileOf } from '../../support/pickle';
import { temporaryFolder } from '../../support/weights';
import { zipOf } from '../../support/zip';

const six: TorchTensor = {
  storage: 'FloatStorage',
  bytes: new Uint8Array(Float32Array.of(0, 1, 2, 3, 4, 5).buffer),
  count: 6,
  shape: [2, 3],
  strides: [3, 1],
};

async function valuesOf(bytes: Uint8Array, name = 'x'): Promise<number[]> {
  using folder = temporaryFolder();
  using _scope = Scope.open();
  const checkpoint = await openCheckpoint(folder.file('weights.bin', bytes));
  return Array.from(await (await checkpoint.load(name)).read());
}

async function refusal(bytes: Uint8Array): Promise<string> {
  using folder = temporaryFolder();
  const error: unknown = await openCheckpoint(folder.file('weights.bin', bytes)).then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  assert.ok(error instanceof CheckpointError && error.code === 'MGLMM_CHECKPOINT_FORMAT', String(error));
  return error.message.slice(folder.path.length + '/weights.bin: '.length);
}

describe('files of torch.save', () => {
  test('with the ZIP64 records of large files', async () => {
    for (const zip64 of [false, true]) assert.deepEqual(await valuesOf(torchFileOf({ x: six }, { zip64 })), [0, 1, 2, 3, 4, 5]);
  });

  test('with a comment that looks like the end of the archive', async () => {
    assert.deepEqual(await valuesOf(torchFileOf({ x: six }, { comment: 'PK\x05\x06 a comment' })), [0, 1, 2, 3, 4, 5]);
  });

  test('with views: parts, transposed, with gaps, of one element', async () => {
    const view = (offset: number, shape: number[], strides: number[]) => valuesOf(torchFileOf({ x: { ...six, offset, shape, strides } }));
    assert.deepEqual(await view(2, [2, 2], [2, 1]), [2, 3, 4, 5]);
    assert.deepEqual(await view(0, [3, 2], [1, 3]), [0, 3, 1, 4, 2, 5]);
    assert.deepEqual(await view(1, [2, 2], [3, 1]), [1, 2, 4, 5]);
    assert.deepEqual(await view(5, [], []), [5]);
    assert.deepEqual(await view(5, [1, 1], [77, 99]), [5]);
    assert.deepEqual(await view(0, [0, 3], [3, 1]), []);
  });

  test('whose weights lie under state_dict beside the state of training', async () => {
    const { entries } = { entries: torchFileOf({ x: six }) };
    const inner = entries.subarray(entries.indexOf('}('), entries.indexOf('u.', entries.indexOf('}(')) + 1);
    const value: Picklable = {
      dict: [
        ['epoch', 3],
        ['state_dict', { raw: Buffer.from(inner) }],
      ],
    };
    assert.deepEqual(await valuesOf(zipOf({ 'a/data.pkl': pickleOf(value), 'a/data/0': six.bytes })), [0, 1, 2, 3, 4, 5]);
  });

  test('are refused with the reason', async () => {
    const pickled = (value: Picklable) => zipOf({ 'a/data.pkl': pickleOf(value) });
    assert.equal(await refusal(Buffer.from('hello')), 'is no PyTorch file: it begins neither as a zip archive nor as a pickle');
    assert.equal(await refusal(zipOf({ 'a/other': 'x' })), 'has 0 entries data.pkl, expected one as torch.save writes');
    assert.equal(await refusal(torchFileOf({ x: six }, { method: 8 })), 'has archive/data.pkl compressed, expected stored as PyTorch does');
    assert.equal(await refusal(zipOf({ 'a/data.pkl': pickleOf(null), 'a/byteorder': 'big' })), 'was written on a big-endian machine');
    assert.equal(await refusal(pickled([1])), 'holds a list, expected a dict of tensors');
    assert.match(await refusal(pickled({ dict: [['a', 1]] })), /^holds a dict without tensors, expected name -> tensor/);
    assert.match(
      await refusal(torchFileOf({ x: { ...six, shape: [9, 6], strides: [0, 1] } })),
      /an expanded one; expected each element once/,
    );
    assert.match(await refusal(torchFileOf({ x: { ...six, shape: [2 ** 31 - 1, 2 ** 31 - 1], strides: [0, 0] } })), /too many to count/);
    assert.match(await refusal(torchFileOf({ x: { ...six, strides: [3] } })), /expected a stride a size/);
    assert.match(await refusal(torchFileOf({ x: { ...six, count: 7 } })), /has 24 bytes in data\/0, expected 28/);
    assert.match(await refusal(pickleOf(5)), /is a pickle, but none that torch.save wrote/);
  });

  test('that ask for code are refused before anything else is looked at', async () => {
    using folder = temporaryFolder();
    const bytes = zipOf({ 'a/data.pkl': Buffer.concat([global('os', 'system'), Buffer.from('(X\x01\x00\x00\x00xtR.')]) });
    await assert.rejects(openCheckpoint(folder.file('w.pt', bytes)), { name: 'CheckpointUnsafeError', code: 'MGLMM_CHECKPOINT_UNSAFE' });
  });

  test('give typed errors, whatever is changed in them', async () => {
    using folder = temporaryFolder();
    const files = [
      torchFileOf({ x: six, y: six }, { zip64: true }),
      readFileSync(join(goldenFolder, 'mglmm-tiny/checkpoints/legacy-pickle/pytorch_model.bin')),
    ];
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...files),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        fc.option(fc.nat()),
        async (whole, changes, cut) => {
          using _scope = Scope.open();
          const bytes = Buffer.from(whole.subarray(0, cut === null ? whole.length : cut % whole.length));
          for (const [at, value] of changes) if (bytes.length > 0) bytes[at % bytes.length] = value;
          try {
            const checkpoint = await openCheckpoint(folder.file('changed.bin', bytes));
            for (const name of checkpoint.names) await (await checkpoint.load(name)).read();
          } catch (error) {
            assert.ok(error instanceof MglmmError, String(error instanceof Error ? error.stack : error));
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
