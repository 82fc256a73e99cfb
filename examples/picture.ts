/** A picture to draw on, and its PNG. */
import { crc32, deflateSync } from 'node:zlib';
import { glyphHeight, glyphWidth, hasInk } from './font';

/** Red, green, blue from 0 to 255. */
export type Colour = readonly [number, number, number];

export class Picture {
  readonly width: number;
  readonly height: number;
  /** Rows of RGB, a byte each. */
  readonly pixels: Uint8Array;

  constructor(width: number, height: number, background: Colour = [255, 255, 255]) {
    this.width = width;
    this.height = height;
    this.pixels = new Uint8Array(width * height * 3);
    this.rectangle(0, 0, width, height, background);
  }

  /** Lays `colour` over a pixel; `opacity` 0 leaves it, 1 replaces it. Outside the picture nothing happens. */
  blend(x: number, y: number, colour: Colour, opacity = 1): void {
    if (x < 0 || y < 0 || x >= this.width || y >= this.height) return;
    const at = (Math.floor(y) * this.width + Math.floor(x)) * 3;
    for (let channel = 0; channel < 3; channel++) {
      const before = this.pixels[at + channel] as number;
      this.pixels[at + channel] = Math.round(before + ((colour[channel] as number) - before) * opacity);
    }
  }

  rectangle(left: number, top: number, width: number, height: number, colour: Colour, opacity = 1): void {
    for (let y = top; y < top + height; y++) for (let x = left; x < left + width; x++) this.blend(x, y, colour, opacity);
  }

  /** A line from point to point, `thickness` pixels wide, with soft edges. */
  polyline(points: readonly (readonly [number, number])[], colour: Colour, thickness = 2, opacity = 1): void {
    const reach = Math.ceil(thickness / 2) + 1;
    const covered = new Map<number, number>(); // by pixel, so that the joints are not drawn twice
    for (let i = 1; i < points.length; i++) {
      const [[x0, y0], [x1, y1]] = [points[i - 1] as [number, number], points[i] as [number, number]];
      const [dx, dy] = [x1 - x0, y1 - y0];
      const length = dx * dx + dy * dy || 1;
      for (let y = Math.floor(Math.min(y0, y1)) - reach; y <= Math.max(y0, y1) + reach; y++) {
        for (let x = Math.floor(Math.min(x0, x1)) - reach; x <= Math.max(x0, x1) + reach; x++) {
          if (x < 0 || x >= this.width) continue;
          const along = Math.max(0, Math.min(1, ((x - x0) * dx + (y - y0) * dy) / length));
          const distance = Math.hypot(x - x0 - along * dx, y - y0 - along * dy);
          const cover = Math.max(0, Math.min(1, thickness / 2 + 0.5 - distance));
          const at = y * this.width + x;
          if (cover > (covered.get(at) ?? 0)) covered.set(at, cover);
        }
      }
    }
    for (const [at, cover] of covered) this.blend(at % this.width, Math.floor(at / this.width), colour, cover * opacity);
  }

  /** Writes `text` with its top left corner at (x, y), or ending or centred there. */
  text(text: string, x: number, y: number, colour: Colour, options: { size?: number; align?: 'left' | 'centre' | 'right' } = {}): void {
    const { size = 2, align = 'left' } = options;
    const step = (glyphWidth + 1) * size;
    const width = text.length * step - size;
    const left = Math.round(align === 'left' ? x : align === 'right' ? x - width : x - width / 2);
    [...text].forEach((character, index) => {
      for (let row = 0; row < glyphHeight; row++) {
        for (let column = 0; column < glyphWidth; column++) {
          if (hasInk(character, row, column)) this.rectangle(left + index * step + column * size, y + row * size, size, size, colour);
        }
      }
    });
  }

  /** Draws an image of `width` x `height` pixels, each `zoom` pixels wide. `at` gives the colour of a pixel. */
  image(left: number, top: number, width: number, height: number, zoom: number, at: (x: number, y: number) => Colour): void {
    for (let y = 0; y < height; y++) {
      for (let x = 0; x < width; x++) this.rectangle(left + x * zoom, top + y * zoom, zoom, zoom, at(x, y));
    }
  }

  /** The bytes of a PNG file: https://www.w3.org/TR/png-3/ */
  png(): Buffer {
    const rowBytes = this.width * 3;
    const rows = Buffer.alloc((rowBytes + 1) * this.height); // each row after its filter, 0: none
    for (let y = 0; y < this.height; y++) rows.set(this.pixels.subarray(y * rowBytes, (y + 1) * rowBytes), y * (rowBytes + 1) + 1);
    const header = Buffer.alloc(13);
    header.writeUInt32BE(this.width, 0);
    header.writeUInt32BE(this.height, 4);
    header.set([8, 2, 0, 0, 0], 8); // 8 bits a channel, RGB, the one compression and filter method, not interlaced
    const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
    return Buffer.concat([signature, chunk('IHDR', header), chunk('IDAT', deflateSync(rows)), chunk('IEND', Buffer.alloc(0))]);
  }
}

function chunk(type: string, data: Buffer): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(data.length);
  const check = Buffer.alloc(4);
  check.writeUInt32BE(crc32(body));
  return Buffer.concat([length, body, check]);
}
