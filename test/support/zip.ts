/** Zip archives of stored entries, with the ZIP64 records that files above 4 GB have, at any size. */
export interface ZipOptions {
  readonly zip64?: boolean;
  readonly comment?: string;
  /** What the directory says of each entry: method 8 is compressed. */
  readonly method?: number;
  /** Bytes in front of the first entry. */
  readonly gap?: number;
}

export function zipOf(
  entries: Readonly<Record<string, Uint8Array | string>>,
  { zip64 = false, comment = '', method = 0, gap = 0 }: ZipOptions = {},
): Buffer {
  const parts: Buffer[] = [Buffer.alloc(gap)];
  const directory: Buffer[] = [];
  let at = gap;
  for (const [name, content] of Object.entries(entries)) {
    const bytes = Buffer.from(content);
    const local = Buffer.alloc(30);
    local.writeUInt32LE(0x04034b50, 0);
    local.writeUInt16LE(name.length, 26);
    const central = Buffer.alloc(46);
    central.writeUInt32LE(0x02014b50, 0);
    central.writeUInt16LE(method, 10);
    central.writeUInt16LE(name.length, 28);
    const extra = Buffer.alloc(zip64 ? 28 : 0);
    if (zip64) {
      extra.writeUInt16LE(1, 0);
      extra.writeUInt16LE(24, 2);
      extra.writeBigUInt64LE(BigInt(bytes.length), 4);
      extra.writeBigUInt64LE(BigInt(bytes.length), 12);
      extra.writeBigUInt64LE(BigInt(at), 20);
    }
    central.writeUInt16LE(extra.length, 30);
    central.writeUInt32LE(zip64 ? 0xffffffff : bytes.length, 20);
    central.writeUInt32LE(zip64 ? 0xffffffff : bytes.length, 24);
    central.writeUInt32LE(zip64 ? 0xffffffff : at, 42);
    parts.push(local, Buffer.from(name), bytes);
    directory.push(central, Buffer.from(name), extra);
    at += 30 + name.length + bytes.length;
  }
  const listed = Buffer.concat(directory);
  const count = Object.keys(entries).length;
  const record = Buffer.alloc(zip64 ? 76 : 0);
  if (zip64) {
    record.writeUInt32LE(0x06064b50, 0);
    record.writeBigUInt64LE(44n, 4);
    record.writeBigUInt64LE(BigInt(count), 24);
    record.writeBigUInt64LE(BigInt(count), 32);
    record.writeBigUInt64LE(BigInt(listed.length), 40);
    record.writeBigUInt64LE(BigInt(at), 48);
    record.writeUInt32LE(0x07064b50, 56);
    record.writeBigUInt64LE(BigInt(at + listed.length), 64);
    record.writeUInt32LE(1, 72);
  }
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt16LE(zip64 ? 0xffff : count, 8);
  end.writeUInt16LE(zip64 ? 0xffff : count, 10);
  end.writeUInt32LE(zip64 ? 0xffffffff : listed.length, 12);
  end.writeUInt32LE(zip64 ? 0xffffffff : at, 16);
  end.writeUInt16LE(comment.length, 20);
  return Buffer.concat([...parts, listed, record, end, Buffer.from(comment)]);
}
