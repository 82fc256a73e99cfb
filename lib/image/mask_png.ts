/** A mask as a PNG file of one bit a pixel, white where the mask is: ISO/IEC 15948. */
import { promisify } from 'node:util';
import { constants, crc32, deflate } from 'node:zlib';
import { ArgumentError } from '../errors';

const compress = promisify(deflate);
const signature = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a);
const bytesATurn = 1 << 19; // turned around before other JavaScript may run: under a millisecond

/** In the file the first pixel of a byte is its highest bit. */
const reversed = Uint8Array.from({ length: 256 }, (_, byte) => {
  let result = 0;
  for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) result |= 128 >> bit;
  return result;
});

/**
 * @param bits - rows of `8 ceil(width / 64)` bytes, pixel `8 b + k` being bit `k` of byte `b`.
 * @throws ArgumentError when `bits` has another size.
 */
export async function maskPng(bits: Uint8Array, width: number, height: number): Promise<Uint8Array> {
  const stride = 8 * Math.ceil(width / 64);
  for (const [side, value] of Object.entries({ width, height })) {
    if (!(Number.isInteger(value) && value >= 1 && value < 2 ** 31))
      throw new ArgumentError(`maskPng: ${side} is ${String(value)}, expected a whole number of pixels, 1 or more`);
  }
  if (bits?.length !== stride * height)
    throw new ArgumentError(`maskPng: bits has ${bits?.length} bytes, expected ${stride * height}, ${height} rows of ${stride}`);
  const rowBytes = 1 + Math.ceil(width / 8); // first the filter: none
  const rows = Buffer.alloc(rowBytes * height);
  for (let row = 0, sinceTurn = 0; row < height; row++, sinceTurn += rowBytes) {
    if (sinceTurn >= bytesATurn) {
      sinceTurn = 0;
      await new Promise(setImmediate);
    }
    const [from, to] = [row * stride, row * rowBytes + 1];
    for (let i = 0; i < rowBytes - 1; i++) rows[to + i] = reversed[bits[from + i] as number] as number;
  }
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([1, 0], 8); // bits a pixel, grey
  // Looking for runs alone finds the most, of what is mostly runs, in a fifth of the time.
  const data = await compress(rows, { strategy: constants.Z_RLE });
  return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', data), chunk('IEND', Buffer.alloc(0))]);
}

function chunk(type: string, body: Buffer): Buffer {
  const result = Buffer.alloc(12 + body.length);
  result.writeUInt32BE(body.length, 0);
  result.write(type, 4, 'latin1');
  result.set(body, 8);
  result.writeUInt32BE(crc32(result.subarray(4, 8 + body.length)), 8 + body.length);
  return result;
}
