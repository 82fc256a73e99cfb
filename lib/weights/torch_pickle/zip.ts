/**
 * The directory of a zip archive as PyTorch writes it: entries are stored, not compressed, so that each is a range of the
 * file. ZIP64 throughout, as weights pass 4 GB. PKWARE APPNOTE 6.3.10, sections 4.3 and 4.5.3.
 */
import type { FileHandle } from 'node:fs/promises';
import { refuse } from '../refuse';

const END = 0x06054b50;
const END_BYTES = 22;
const ZIP64_LOCATOR = 0x07064b50;
const ZIP64_LOCATOR_BYTES = 20;
const ZIP64_END = 0x06064b50;
const ZIP64_END_BYTES = 56;
const CENTRAL = 0x02014b50;
const CENTRAL_BYTES = 46;
const LOCAL = 0x04034b50;
const LOCAL_BYTES = 30;
const ZIP64_EXTRA = 1;
const MAX_COMMENT_BYTES = 0xffff;
/** The value that says: look in the ZIP64 record. */
const IN_ZIP64 = 0xffffffff;
const COUNT_IN_ZIP64 = 0xffff;
/** A 7B model has under a thousand entries of about 100 bytes. */
const MAX_DIRECTORY_BYTES = 256 * 1024 * 1024;

export interface ZipEntry {
  readonly name: string;
  readonly bytes: number;
  /** Of the local header that is in front of the values. */
  readonly header: number;
}

/** A zip archive that is open for reading. */
export class Zip {
  readonly #file: FileHandle;
  readonly #path: string;
  readonly #size: number;
  readonly entries: ReadonlyMap<string, ZipEntry>;

  private constructor(file: FileHandle, path: string, size: number, entries: ReadonlyMap<string, ZipEntry>) {
    this.#file = file;
    this.#path = path;
    this.#size = size;
    this.entries = entries;
  }

  /** @throws CheckpointFormatError for an archive that is cut off, contradicts itself or is compressed. */
  static async open(file: FileHandle, path: string): Promise<Zip> {
    const { size } = await file.stat();
    const directory = await findDirectory(file, path, size);
    const bytes = await readExactly(file, path, directory.offset, directory.bytes);
    return new Zip(file, path, size, readEntries(bytes, path, directory.count));
  }

  /** Where the values of an entry begin, in bytes from the start of the file. */
  async offsetOf(entry: ZipEntry): Promise<number> {
    const local = await readExactly(this.#file, this.#path, entry.header, LOCAL_BYTES);
    if (local.readUInt32LE(0) !== LOCAL) refuse(this.#path, `has no header where its directory puts ${entry.name}`);
    const offset = entry.header + LOCAL_BYTES + local.readUInt16LE(26) + local.readUInt16LE(28);
    if (offset + entry.bytes > this.#size) refuse(this.#path, `ends inside of ${entry.name}; the file may be cut off`);
    return offset;
  }

  async read(entry: ZipEntry): Promise<Buffer> {
    return readExactly(this.#file, this.#path, await this.offsetOf(entry), entry.bytes);
  }
}

async function readExactly(file: FileHandle, path: string, offset: number, bytes: number): Promise<Buffer> {
  const buffer = Buffer.alloc(bytes);
  const { bytesRead } = await file.read(buffer, 0, bytes, offset);
  if (bytesRead !== bytes)
    refuse(path, `ends at byte ${offset + bytesRead}, expected ${bytes} bytes from ${offset}; the file may be cut off`);
  return buffer;
}

interface Directory {
  readonly offset: number;
  readonly bytes: number;
  readonly count: number;
}

/** The end record is last but for a comment of unknown length, so it is searched from the back. */
async function findDirectory(file: FileHandle, path: string, size: number): Promise<Directory> {
  const tailBytes = Math.min(size, END_BYTES + MAX_COMMENT_BYTES);
  const tail = await readExactly(file, path, size - tailBytes, tailBytes);
  let at = tailBytes - END_BYTES;
  while (at >= 0 && !(tail.readUInt32LE(at) === END && at + END_BYTES + tail.readUInt16LE(at + 20) === tailBytes)) at--;
  if (at < 0) refuse(path, 'is a zip archive without its directory, which is at the end; the file may be cut off');
  const end = size - tailBytes + at;
  let [count, bytes, offset] = [tail.readUInt16LE(at + 10), tail.readUInt32LE(at + 12), tail.readUInt32LE(at + 16)];
  if (count === COUNT_IN_ZIP64 || bytes === IN_ZIP64 || offset === IN_ZIP64) {
    if (end < ZIP64_LOCATOR_BYTES) refuse(path, 'has a zip directory that contradicts itself');
    const locator = await readExactly(file, path, end - ZIP64_LOCATOR_BYTES, ZIP64_LOCATOR_BYTES);
    if (locator.readUInt32LE(0) !== ZIP64_LOCATOR) refuse(path, 'has no ZIP64 record where one is announced');
    const record = await readExactly(file, path, exactly(locator.readBigUInt64LE(8), path), ZIP64_END_BYTES);
    if (record.readUInt32LE(0) !== ZIP64_END) refuse(path, 'has no ZIP64 record where one is announced');
    [count, bytes, offset] = [32, 40, 48].map((field) => exactly(record.readBigUInt64LE(field), path)) as [number, number, number];
  }
  if (offset + bytes > end || bytes > MAX_DIRECTORY_BYTES || count * CENTRAL_BYTES > bytes) {
    refuse(path, `says its directory is ${count} entries in ${bytes} bytes at ${offset}, which does not fit its ${size} bytes`);
  }
  return { offset, bytes, count };
}

function readEntries(directory: Buffer, path: string, count: number): Map<string, ZipEntry> {
  const entries = new Map<string, ZipEntry>();
  const cut = (): never => refuse(path, 'has a zip directory that is cut off');
  let at = 0;
  for (let i = 0; i < count; i++) {
    if (at + CENTRAL_BYTES > directory.length || directory.readUInt32LE(at) !== CENTRAL) cut();
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => directory.readUInt16LE(at + field)) as [
      number,
      number,
      number,
    ];
    const after = at + CENTRAL_BYTES + nameBytes + extraBytes + commentBytes;
    if (after > directory.length) cut();
    const name = directory.toString('utf8', at + CENTRAL_BYTES, at + CENTRAL_BYTES + nameBytes);
    const extra = directory.subarray(at + CENTRAL_BYTES + nameBytes, at + CENTRAL_BYTES + nameBytes + extraBytes);
    const wide = zip64Fields(extra);
    const field = (offset: number): number => {
      const value = directory.readUInt32LE(at + offset);
      return value === IN_ZIP64 ? exactly(wide.shift() ?? cut(), path) : value;
    };
    // The order of the ZIP64 fields: size, compressed size, offset.
    const [bytes, compressed, header] = [field(24), field(20), field(42)];
    if (directory.readUInt16LE(at + 10) !== 0 || bytes !== compressed)
      refuse(path, `has ${name} compressed, expected stored as PyTorch does`);
    if (directory.readUInt16LE(at + 8) & 1) refuse(path, `has ${name} encrypted`);
    if (entries.has(name)) refuse(path, `has ${name} twice`);
    entries.set(name, { name, bytes, header });
    at = after;
  }
  return entries;
}

function zip64Fields(extra: Buffer): bigint[] {
  for (let at = 0; at + 4 <= extra.length; ) {
    const [id, bytes] = [extra.readUInt16LE(at), extra.readUInt16LE(at + 2)];
    if (id === ZIP64_EXTRA && at + 4 + bytes <= extra.length) {
      return Array.from({ length: Math.floor(bytes / 8) }, (_, i) => (i < 3 ? extra.readBigUInt64LE(at + 4 + 8 * i) : 0n));
    }
    at += 4 + bytes;
  }
  return [];
}

function exactly(value: bigint, path: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER)) refuse(path, `has ${value} as a size or place in its zip directory`);
  return Number(value);
}
