/**
 * A reader of TensorBoard's event files, written from their definition and not from the writer: TFRecord (length, checksum, contents,
 * checksum) of `Event`: 1 wall_time, 2 step, 5 summary of values with 1 tag and 2 simple_value.
 */
import { strict as assert } from 'node:assert';

export interface Scalar {
  readonly step: number;
  readonly tag: string;
  readonly value: number;
}

export function scalarsIn(file: Buffer): Scalar[] {
  const scalars: Scalar[] = [];
  for (let at = 0; at < file.length; ) {
    const length = Number(file.readBigUInt64LE(at));
    const contents = file.subarray(at + 12, at + 12 + length);
    assert.equal(file.readUInt32LE(at + 8), maskedCrc(file.subarray(at, at + 8)), 'the checksum of a length');
    assert.equal(file.readUInt32LE(at + 12 + length), maskedCrc(contents), 'the checksum of an event');
    const event = fieldsIn(contents);
    const step = Number(event.find(({ field }) => field === 2)?.number ?? 0);
    for (const summary of event.filter(({ field }) => field === 5)) {
      for (const value of fieldsIn(summary.bytes).filter(({ field }) => field === 1)) {
        const parts = fieldsIn(value.bytes);
        const [tag, simple] = [1, 2].map((field) => parts.find((part) => part.field === field)?.bytes);
        assert.ok(tag && simple);
        scalars.push({ step, tag: tag.toString(), value: simple.readFloatLE() });
      }
    }
    at += 16 + length;
  }
  return scalars;
}

interface Field {
  readonly field: number;
  readonly number: bigint;
  readonly bytes: Buffer;
}

function fieldsIn(message: Buffer): Field[] {
  const fields: Field[] = [];
  let at = 0;
  const varint = () => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 127) << shift;
      if (byte < 128) return value;
    }
  };
  while (at < message.length) {
    const key = Number(varint());
    const kind = key & 7;
    const number = kind === 0 || kind === 2 ? varint() : 0n;
    const size = { 0: 0, 1: 8, 2: Number(number), 5: 4 }[kind];
    assert.ok(size !== undefined && at + size <= message.length, `a field of kind ${kind}`);
    fields.push({ field: key >> 3, number, bytes: message.subarray(at, at + size) });
    at += size;
  }
  return fields;
}

/** CRC-32C bit by bit, rotated right by 15, plus a constant. */
function maskedCrc(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (0x82f63b78 & -(crc & 1));
  }
  crc = ~crc >>> 0;
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}
