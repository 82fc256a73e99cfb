import { strict as assert } from 'node:assert';
import { readFileSync } from 'node:fs';
import { test } from '@jest/globals';
import { EventFile } from '../../lib';
import { crc32c, recordOf, scalarsRecord } from '../../lib/train/event_file';
import { temporaryFolder } from '../support/weights';

test('crc32c is that of RFC 3720', () => {
  assert.equal(crc32c(Buffer.from('123456789')), 0xe3069283);
  assert.equal(crc32c(Buffer.alloc(32)), 0x8a9136aa);
  assert.equal(crc32c(Buffer.alloc(32, 255)), 0x62a8ab43);
});

/** The contents of each record, whose checksums are looked at. */
function recordsIn(bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(bytes.readBigUInt64LE(at));
    const contents = bytes.subarray(at + 12, at + 12 + length);
    assert.deepEqual(recordOf(contents), bytes.subarray(at, at + 16 + length));
    records.push(contents);
    at += 16 + length;
  }
  return records;
}

test('a record is masked as TFRecord says', () => {
  // crc32c of the eight bytes of a length of 0 is 0x8c28b28a; rotated by 15 and shifted.
  const crc = crc32c(Buffer.alloc(8));
  const masked = (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
  assert.equal(recordOf(Buffer.alloc(0)).readUInt32LE(8), masked);
});

test('scalars are an Event of protocol buffers', () => {
  const [event] = recordsIn(scalarsRecord({ a: 0.5 }, 300, 2));
  const wall = [0x09, 0, 0, 0, 0, 0, 0, 0, 0x40];
  const step = [0x10, 0xac, 0x02];
  const value = [0x0a, 1, 0x61, 0x15, 0, 0, 0, 0x3f];
  assert.deepEqual([...(event ?? [])], [...wall, ...step, 0x2a, 2 + value.length, 0x0a, value.length, ...value]);
});

test('a file begins with its version, and says from which step on older ones are void', async () => {
  using folder = temporaryFolder();
  await using first = await EventFile.create(folder.path);
  await first.write({ 'train/loss': 1 }, 0);
  await using second = await EventFile.create(folder.path, 7);
  assert.equal(recordsIn(readFileSync(first.path)).length, 2);
  assert.ok(recordsIn(readFileSync(first.path))[0]?.toString('latin1').endsWith('brain.Event:2'));
  const start = recordsIn(readFileSync(second.path))[1];
  assert.deepEqual([...(start ?? [])].slice(9), [0x10, 7, 0x3a, 2, 8, 1]);
});
