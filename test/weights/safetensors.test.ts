import { strict as assert } from 'node:assert';
import { mkdirSync, readFileSync } from 'node:fs';
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { MglmmError, openCheckpoint, Scope } from '../../lib';
import { readSafetensors } from '../../lib/weights/safetensors';
import { storedToWrite } from '../../lib/weights/stored_pieces';
import { writeCheckpoint } from '../../lib/weights/write_checkpoint';
import { floats, safetensorsOf, temporaryFolder, type WrittenTensor } from '../support/weights';

const dtypes = { F32: 4, BF16: 2, F16: 2, I32: 4, U8: 1 } as const;

const anyTensor = fc
  .record({
    dtype: fc.constantFrom(...(Object.keys(dtypes) as (keyof typeof dtypes)[])),
    shape: fc.array(fc.nat(5), { maxLength: 3 }),
    fill: fc.nat(63),
  })
  .map(
    ({ dtype, shape, fill }): WrittenTensor => ({
      dtype,
      shape,
      bytes: new Uint8Array(dtypes[dtype] * shape.reduce((a, b) => a * b, 1)).fill(fill),
    }),
  );
const anyTensors = fc.dictionary(
  fc.string({ minLength: 1, unit: 'grapheme' }).filter((name) => name !== '__metadata__'),
  anyTensor,
  { maxKeys: 6 },
);

describe('safetensors', () => {
  test('what is written in shards of any size is read back', async () => {
    await fc.assert(
      fc.asyncProperty(anyTensors, fc.integer({ min: 1, max: 300 }), async (tensors, shardBytes) => {
        using folder = temporaryFolder();
        using _scope = Scope.open();
        const source = await openCheckpoint(folder.file('source.safetensors', safetensorsOf(tensors)));
        const target = `${folder.path}/target`;
        mkdirSync(target);
        const written = await writeCheckpoint(
          target,
          source.names.map((name) => storedToWrite(name, source.get(name))),
          { shardBytes },
        );
        for (const { name, bytes } of written) assert.equal(readFileSync(`${target}/${name}`).length, bytes);
        if (source.names.length === 0) return;
        const copy = await openCheckpoint(target);
        assert.deepEqual([...copy.names].sort(), Object.keys(tensors).sort());
        for (const [name, { shape, bytes }] of Object.entries(tensors)) {
          const { buffer, byteOffset, byteLength } = await (await copy.load(name)).readBits();
          assert.deepEqual(copy.get(name).shape, shape);
          assert.deepEqual(Buffer.from(buffer, byteOffset, byteLength), Buffer.from(bytes));
        }
      }),
      { numRuns: 60 },
    );
  });

  test('metadata is read, and is no tensor', async () => {
    using folder = temporaryFolder();
    const file = folder.file(
      'x.safetensors',
      safetensorsOf({ a: floats([1], [1]) }, (entries) => ({ __metadata__: { format: 'pt', 'a": {"': 'b' }, ...entries })),
    );
    const { metadata, tensors } = await readSafetensors(file);
    assert.deepEqual([metadata.format, tensors.map(({ name }) => name)], ['pt', ['a']]);
    const wrong = folder.file(
      'y.safetensors',
      safetensorsOf({}, () => ({ __metadata__: { format: 1 } })),
    );
    await assert.rejects(readSafetensors(wrong), { message: `${wrong}: __metadata__ is not a map of strings` });
  });

  test('a name that is there twice with the same bytes is refused too', async () => {
    using folder = temporaryFolder();
    const entry = '"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}';
    const header = Buffer.from(`{${entry},${entry}}`);
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(header.length));
    const file = folder.file('x.safetensors', Buffer.concat([length, header, Buffer.alloc(4)]));
    await assert.rejects(readSafetensors(file), { code: 'MGLMM_CHECKPOINT_FORMAT', message: `${file}: has a twice` });
  });

  test('gives typed errors, whatever is changed in a file', async () => {
    using folder = temporaryFolder();
    const whole = safetensorsOf({ a: floats([2, 3], [0, 1, 2, 3, 4, 5]), b: floats([2], [6, 7]) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.option(fc.nat(whole.length)),
        async (changes, cut) => {
          using _scope = Scope.open();
          const bytes = Buffer.from(whole.subarray(0, cut ?? whole.length));
          for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value;
          try {
            const checkpoint = await openCheckpoint(folder.file('changed.safetensors', bytes));
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
