/**
 * TensorBoard's event files: records with their length and two checksums, each an `Event` of protocol buffers. Formats:
 * https://github.com/tensorflow/tensorboard, record_writer and event.proto.
 */
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';

/** CRC-32C, Castagnoli's polynomial with its bits reversed. https://www.rfc-editor.org/rfc/rfc3720#appendix-B.4 */
const table = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte;
  for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  return crc;
});

export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) crc = (crc >>> 8) ^ (table[(crc ^ byte) & 255] as number);
  return (crc ^ 0xffffffff) >>> 0;
}

/** Rotated and shifted, so that a checksum of checksums is none by chance. */
function masked(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** A record: length, its checksum, contents, their checksum. */
export function recordOf(contents: Uint8Array): Buffer {
  const record = Buffer.alloc(16 + contents.length);
  record.writeBigUInt64LE(BigInt(contents.length));
  record.writeUInt32LE(masked(record.subarray(0, 8)), 8);
  record.set(contents, 12);
  record.writeUInt32LE(masked(contents), 12 + contents.length);
  return record;
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = BigInt(value);
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Buffer.from([...bytes, Number(rest)]);
}

const lengthy = (field: number, contents: Uint8Array): Buffer => Buffer.concat([varint(8 * field + 2), varint(contents.length), contents]);

function double(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(9, 8 * field + 1);
  bytes.writeDoubleLE(value, 1);
  return bytes;
}

function float(field: number, value: number): Buffer {
  const bytes = Buffer.alloc(5, 8 * field + 5);
  bytes.writeFloatLE(value, 1);
  return bytes;
}

/** The record of an `Event` with scalars by tag. */
export function scalarsRecord(scalars: Readonly<Record<string, number>>, step: number, wallSeconds: number): Buffer {
  const values = Object.entries(scalars).map(([tag, value]) => lengthy(1, Buffer.concat([lengthy(1, Buffer.from(tag)), float(2, value)])));
  const summary = lengthy(5, Buffer.concat(values));
  return recordOf(Buffer.concat([double(1, wallSeconds), varint(8 * 2), varint(step), summary]));
}

/** Appends scalars to a new file in a folder that TensorBoard is pointed at. */
export class EventFile implements AsyncDisposable {
  readonly path: string;
  readonly #file: FileHandle;

  private constructor(path: string, file: FileHandle) {
    this.path = path;
    this.#file = file;
  }

  /** @param firstStep - what older files say of this step and later ones is void: their run was cut off. */
  static async create(folder: string, firstStep = 0): Promise<EventFile> {
    await mkdir(folder, { recursive: true });
    const seconds = Date.now() / 1000;
    const path = join(folder, `events.out.tfevents.${Math.floor(seconds)}.${hostname()}.${process.pid}.${firstStep}`);
    const file = await open(path, 'w');
    const version = Buffer.concat([double(1, seconds), lengthy(3, Buffer.from('brain.Event:2'))]);
    // A session that starts at a step makes TensorBoard drop what was there from it on.
    const start = Buffer.concat([double(1, seconds), varint(8 * 2), varint(firstStep), lengthy(7, Buffer.from([8, 1]))]);
    await file.write(Buffer.concat([recordOf(version), ...(firstStep > 0 ? [recordOf(start)] : [])]));
    return new EventFile(path, file);
  }

  async write(scalars: Readonly<Record<string, number>>, step: number): Promise<void> {
    await this.#file.write(scalarsRecord(scalars, step, Date.now() / 1000));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}
