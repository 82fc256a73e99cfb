/** Reads and writes PNG files of 8-bit RGB, not interlaced: ISO/IEC 15948. */
import { crc32, deflateSync, inflateSync } from 'node:zlib';

export interface RgbImage {
  width: number;
  height: number;
  /** `height * width * 3` bytes, row by row. */
  pixels: Uint8Array;
}

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
const BYTES_A_PIXEL = 3;

export function decodePng(file: Buffer): RgbImage {
  if (!file.subarray(0, 8).equals(SIGNATURE)) throw new Error('png: no signature');
  const data: Buffer[] = [];
  let [width, height] = [0, 0];
  for (let at = 8; at + 12 <= file.length; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString('latin1', at + 4, at + 8);
    const body = file.subarray(at + 8, at + 8 + length);
    if (crc32(file.subarray(at + 4, at + 8 + length)) !== file.readUInt32BE(at + 8 + length)) throw new Error(`png: ${type} is damaged`);
    if (type === 'IHDR') {
      [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
      const [depth, colour, , , interlace] = body.subarray(8);
      if (depth !== 8 || colour !== 2 || interlace !== 0) throw new Error('png: expected 8-bit RGB, not interlaced');
    } else if (type === 'IDAT') data.push(body);
    at += 12 + length;
  }
  return { width, height, pixels: unfilter(inflateSync(Buffer.concat(data)), width * BYTES_A_PIXEL, height) };
}

/** Each row begins with a number that says from which neighbours its bytes were predicted. */
function unfilter(rows: Uint8Array, rowBytes: number, height: number): Uint8Array {
  const pixels = new Uint8Array(rowBytes * height);
  const at = (row: number, i: number) => (row < 0 || i < 0 ? 0 : (pixels[row * rowBytes + i] as number));
  for (let row = 0; row < height; row++) {
    const filter = rows[row * (rowBytes + 1)] as number;
    for (let i = 0; i < rowBytes; i++) {
      const left = at(row, i - BYTES_A_PIXEL);
      const above = at(row - 1, i);
      const corner = i < BYTES_A_PIXEL ? 0 : at(row - 1, i - BYTES_A_PIXEL);
      const predicted = [0, left, above, (left + above) >> 1, paeth(left, above, corner)][filter];
      if (predicted === undefined) throw new Error(`png: row ${row} has filter ${filter}`);
      pixels[row * rowBytes + i] = (rows[row * (rowBytes + 1) + 1 + i] as number) + predicted;
    }
  }
  return pixels;
}

/** Of the three, the one nearest to left + above - corner. */
function paeth(left: number, above: number, corner: number): number {
  const [byLeft, byAbove, byCorner] = [Math.abs(above - corner), Math.abs(left - corner), Math.abs(left + above - 2 * corner)];
  if (byLeft <= byAbove && byLeft <= byCorner) return left;
  return byAbove <= byCorner ? above : corner;
}

export function encodePng({ width, height, pixels }: RgbImage): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const rowBytes = width * BYTES_A_PIXEL;
  const rows = Buffer.alloc((rowBytes + 1) * height);
  for (let row = 0; row < height; row++) rows.set(pixels.subarray(row * rowBytes, (row + 1) * rowBytes), row * (rowBytes + 1) + 1);
  return Buffer.concat([SIGNATURE, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, body: Buffer): Buffer {
  const result = Buffer.alloc(12 + body.length);
  result.writeUInt32BE(body.length, 0);
  result.write(type, 4, 'latin1');
  result.set(body, 8);
  result.writeUInt32BE(crc32(result.subarray(4, 8 + body.length)), 8 + body.length);
  return result;
}
