/** Decoding beside Pillow (pictures/make.py), the choices of our own, and every refusal. */
import { strict as assert } from 'node:assert';
import { createHash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, test } from '@jest/globals';
import sharp from 'sharp';
import { decodeImage, type ImageSource, type RgbImage } from '../../lib';
import { goldenFolder } from '../support/golden';
import { turnsDuring } from '../support/turns';

const pictures = join(__dirname, 'pictures');
const folder = mkdtempSync(join(tmpdir(), 'mglmm-decode-'));
afterAll(() => rmSync(folder, { recursive: true }));

const sha256 = ({ data }: RgbImage) => createHash('sha256').update(data).digest('hex');
const path = (name: string) => join(pictures, name);
const bytes = (name: string) => readFileSync(path(name));

describe('as Pillow decodes', () => {
  interface Expected {
    pictures: Record<string, { width: number; height: number; sha256: string }>;
  }
  const expected = (JSON.parse(readFileSync(path('pillow.json'), 'utf8')) as Expected).pictures;
  test('every picture is judged', () => {
    const files = readdirSync(pictures).filter((name) => !/\.(py|json)$/.test(name));
    assert.deepEqual(new Set(files), new Set(Object.keys(expected)));
  });

  for (const [name, wanted] of Object.entries(expected))
    test(name, async () => {
      const image = await decodeImage(path(name));
      assert.deepEqual({ width: image.width, height: image.height, sha256: sha256(image) }, wanted);
    });

  const golden = join(goldenFolder, 'image');
  const { images } = JSON.parse(readFileSync(join(golden, 'config.json'), 'utf8')) as {
    images: { name: string; height: number; width: number; sha256_rgb: string }[];
  };
  for (const { name, height, width, sha256_rgb } of images)
    test(`${name}.png of the goldens`, async () => {
      const image = await decodeImage(join(golden, 'images', `${name}.png`));
      assert.deepEqual([image.height, image.width, sha256(image)], [height, width, sha256_rgb]);
    });
});

describe('sources', () => {
  test('a path, bytes, an ArrayBuffer, a Blob and pixels are the same picture', async () => {
    const file = bytes('420.jpg');
    const exact = file.buffer.slice(file.byteOffset, file.byteOffset + file.byteLength) as ArrayBuffer;
    const wanted = await decodeImage(path('420.jpg'));
    for (const source of [file, new Uint8Array(exact), exact, new Blob([exact])]) {
      const { data, width, height } = await decodeImage(source);
      assert.deepEqual([width, height, Buffer.compare(data, wanted.data)], [53, 37, 0]);
    }
    assert.equal(await decodeImage(wanted), wanted);
  });

  test('a file that changed is read again', async () => {
    const changing = join(folder, 'changing.png');
    for (const side of [3, 5]) {
      await sharp({ create: { width: side, height: side, channels: 3, background: '#123456' } }).toFile(changing);
      assert.equal((await decodeImage(changing)).width, side);
    }
  });
});

/** One pixel of what `decodeImage` makes of raw pixels stored in a file. */
async function pixelOf(
  values: number[] | Uint16Array,
  channels: 1 | 2 | 3 | 4,
  encode: (image: sharp.Sharp) => sharp.Sharp,
): Promise<number[]> {
  const raw = values instanceof Uint16Array ? values : Uint8Array.from(values);
  const file = await encode(sharp(raw, { raw: { width: 1, height: 1, channels } })).toBuffer();
  return [...(await decodeImage(file)).data];
}

describe('what is chosen here', () => {
  test('transparency lies on white', async () => {
    const png = (image: sharp.Sharp) => image.png();
    assert.deepEqual(await pixelOf([10, 20, 30, 0], 4, png), [255, 255, 255]);
    assert.deepEqual(await pixelOf([10, 20, 30, 255], 4, png), [10, 20, 30]);
    const half = await pixelOf([10, 20, 30, 128], 4, png);
    for (const [i, value] of [10, 20, 30].entries()) assert.ok(Math.abs((half[i] as number) - (255 + (value - 255) * (128 / 255))) <= 1);
    assert.deepEqual(await pixelOf([70, 0], 2, png), [255, 255, 255]);
  });

  test('16-bit values keep their upper byte', async () => {
    const png = (image: sharp.Sharp) => image.toColourspace('rgb16').png();
    assert.deepEqual(await pixelOf(Uint16Array.of(0x0aff, 0x7f00, 0xffff), 3, png), [0x0a, 0x7f, 0xff]);
    const grey = (image: sharp.Sharp) => image.toColourspace('grey16').png();
    assert.deepEqual(await pixelOf(Uint16Array.of(0x42fe), 1, grey), [0x42, 0x42, 0x42]);
  });

  test('CMYK becomes the colours that it prints', async () => {
    const scene = await decodeImage(path('rgb.png'));
    const file = await sharp(scene.data, { raw: { width: 53, height: 37, channels: 3 } })
      .toColourspace('cmyk')
      .jpeg({ quality: 100 })
      .toBuffer();
    assert.equal((await sharp(file).metadata()).space, 'cmyk');
    const image = await decodeImage(file);
    const away = image.data.reduce((sum, value, i) => sum + Math.abs(value - (scene.data[i] as number)), 0) / image.data.length;
    assert.ok(away < 30, `${away} a value on average: some colours cannot be printed, but these are others`);
    const white = await sharp({ create: { width: 4, height: 4, channels: 3, background: '#fff' } })
      .toColourspace('cmyk')
      .tiff()
      .toBuffer();
    for (const value of (await decodeImage(white)).data) assert.ok(value >= 253);
  });

  test('each of the eight orientations is applied', async () => {
    const upright = await decodeImage(path('rgb.png'));
    const at = ({ data, width }: RgbImage, x: number, y: number) => [...data.subarray((y * width + x) * 3, (y * width + x) * 3 + 3)];
    // Where the first row and column of the stored picture lie once it is shown: the definition of the EXIF tag.
    const shown = (orientation: number, x: number, y: number, w: number, h: number): [number, number] => {
      const [a, b] = orientation > 4 ? [y, x] : [x, y];
      const [width, height] = orientation > 4 ? [h, w] : [w, h];
      return [[2, 3, 6, 7].includes(orientation) ? width - 1 - a : a, [3, 4, 7, 8].includes(orientation) ? height - 1 - b : b];
    };
    for (let orientation = 1; orientation <= 8; orientation++) {
      const file = await sharp(upright.data, { raw: { width: 53, height: 37, channels: 3 } })
        .withMetadata({ orientation })
        .png()
        .toBuffer();
      const image = await decodeImage(file);
      assert.deepEqual([image.width, image.height], orientation > 4 ? [37, 53] : [53, 37]);
      for (const [x, y] of [
        [0, 0],
        [52, 0],
        [0, 36],
        [17, 29],
      ] as const)
        assert.deepEqual(at(image, ...shown(orientation, x, y, 53, 37)), at(upright, x, y), `orientation ${orientation}, ${x}, ${y}`);
    }
  });

  test('AVIF is read', async () => {
    const file = await sharp(path('rgb.png')).avif({ quality: 90 }).toBuffer();
    assert.equal((await decodeImage(file)).width, 53);
  });
});

const blocked = { name: 'ImageError', code: 'MGLMM_IMAGE' };
const refuses = (source: unknown, message: string | RegExp, options?: object) =>
  assert.rejects(decodeImage(source as ImageSource, options), { ...blocked, message });
const expected = 'expected JPEG, PNG, WebP, GIF, TIFF or AVIF';

/** A TIFF file of one pixel: `channels` of 32 bits, 0.5 as floats. */
function tiff(channels: number, format: number): Buffer {
  const lists = Buffer.alloc(12);
  for (let i = 0; i < channels; i++) {
    lists.writeUInt16LE(32, 2 * i);
    lists.writeUInt16LE(format, 6 + 2 * i);
  }
  const list = (at: number, value: number) => (channels === 1 ? value : at);
  const tags = [
    [256, 1, 1],
    [257, 1, 1],
    [258, channels, list(8, 32)],
    [259, 1, 1],
    [262, 1, channels === 1 ? 1 : 2],
    [273, 1, 20],
    [277, 1, channels],
    [278, 1, 1],
    [279, 1, 4 * channels],
    [339, channels, list(14, format)],
  ] as const;
  const pixels = Buffer.alloc(12);
  for (let i = 0; i < channels; i++) pixels.writeFloatLE(0.5, 4 * i);
  const directory = Buffer.alloc(2 + 12 * tags.length + 4);
  directory.writeUInt16LE(tags.length, 0);
  for (const [i, [tag, count, value]] of tags.entries()) {
    directory.writeUInt16LE(tag, 2 + 12 * i);
    directory.writeUInt16LE(tag === 273 || tag === 279 ? 4 : 3, 4 + 12 * i);
    directory.writeUInt32LE(count, 6 + 12 * i);
    directory.writeUInt32LE(value, 10 + 12 * i);
  }
  return Buffer.concat([Buffer.from('II*\0'), Buffer.from([32, 0, 0, 0]), lists, pixels, directory]);
}

describe('refuses, with a reason,', () => {
  const file = (name: string, content: string | Uint8Array) => {
    writeFileSync(join(folder, name), content);
    return join(folder, name);
  };

  test('paths that lead to no file', async () => {
    await refuses('no/such.jpg', 'image: "no/such.jpg" does not exist');
    await refuses(folder, `image: "${folder}" is a folder, expected a file`);
    await refuses('/dev/null', 'image: "/dev/null" is no regular file');
    await refuses('no\0such', /^image: "no\\u0000such" cannot be read: /);
    await refuses('https://example.com/a.jpg', 'image: the source is a URL, expected a path or the bytes of a file; fetch it first');
  });

  test('files that are no pictures', async () => {
    const empty = file('empty.jpg', '');
    await refuses(empty, `image: "${empty}" is empty`);
    await refuses(new Uint8Array(0), 'image: the picture is empty');
    const text = file('text.png', 'no picture');
    await refuses(text, `image: "${text}" is no picture that is read here, ${expected}`);
    await refuses(Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'), `image: the picture is svg, ${expected}`);
  });

  test('pictures that are cut off, wherever', async () => {
    for (const name of readdirSync(pictures).filter((one) => !/\.(py|json)$/.test(one))) {
      const whole = bytes(name);
      if (name === 'animated.gif') continue; // its first frame may be whole
      for (const share of [0.1, 0.5, 0.8]) {
        await refuses(
          whole.subarray(0, Math.floor(whole.length * share)),
          /^image: the picture is (damaged or cut off: |no picture that is read)/,
        );
      }
    }
    const cut = file('cut.jpg', bytes('420.jpg').subarray(0, 700));
    await refuses(cut, `image: "${cut}" is damaged or cut off: VipsJpeg: premature end of JPEG image`);
  });

  test('more pixels than allowed, before decoding any', async () => {
    const huge = Buffer.from(bytes('rgb.png'));
    huge.writeUInt32BE(30_000, 16);
    huge.writeUInt32BE(20_000, 20);
    // The checksum of the header no longer fits, which is noticed only later.
    await refuses(
      huge,
      /has 30000 x 20000 pixels, expected at most 100000000 in all: make it smaller; maxPixels of a program allows more$|damaged/,
    );
    const small = { maxPixels: 53 * 37 - 1 };
    const message = `has 53 x 37 pixels, expected at most ${53 * 37 - 1} in all: make it smaller; maxPixels of a program allows more`;
    await refuses(path('420.jpg'), `image: "${path('420.jpg')}" ${message}`, small);
    await refuses(await decodeImage(path('420.jpg')), `image: the picture ${message}`, small);
    assert.equal((await decodeImage(path('420.jpg'), { maxPixels: 53 * 37 })).width, 53);
    // Pixels are decoded already.
    const given = { data: new Uint8Array(10_001 * 10_000 * 3), width: 10_001, height: 10_000 };
    assert.equal(await decodeImage(given), given);
  });

  test('numbers that would come out black or white', async () => {
    const refused = (depth: string, channels: number) =>
      `image: the picture has ${channels} channels of ${depth}, expected 8 or 16 bits without a sign, or RGB of floats: convert it first`;
    const [float, unsigned, signed] = [3, 1, 2];
    await refuses(tiff(1, float), refused('float', 1));
    await refuses(tiff(1, unsigned), refused('uint', 1));
    await refuses(tiff(3, signed), refused('int', 3));
    assert.deepEqual([...(await decodeImage(tiff(3, float))).data], [188, 188, 188]);
  });

  test('values that are no sources, pixels that are none', async () => {
    const rejects = (source: unknown, message: string, options?: object) =>
      assert.rejects(decodeImage(source as ImageSource, options), { name: 'ArgumentError', message });
    const sources = 'expected a path, the bytes of a file, a Blob, or pixels {data, width, height}';
    await rejects(null, `decodeImage: source is null, ${sources}`);
    await rejects(undefined, `decodeImage: source is undefined, ${sources}`);
    await rejects(7, `decodeImage: source is number, ${sources}`);
    await rejects({}, `decodeImage: source is Object, ${sources}`);
    await rejects(
      { data: [1, 2, 3], width: 1, height: 1 },
      'image: data is Array, expected a Uint8Array of red, green and blue, row by row',
    );
    const data = new Uint8Array(12);
    await rejects({ data, width: 0, height: 2 }, 'image: width is 0, expected a whole number of pixels, 1 or more');
    await rejects({ data, width: 2, height: 1.5 }, 'image: height is 1.5, expected a whole number of pixels, 1 or more');
    await rejects({ data, width: 2, height: 3 }, 'image: data has 12 bytes, expected 18, height * width * 3');
    await rejects(path('420.jpg'), 'decodeImage: maxPixels is NaN, expected a number, 1 or more', { maxPixels: Number.NaN });
    await rejects(path('420.jpg'), 'decodeImage: maxPixel is no option; did you mean maxPixels?', { maxPixel: 1 });
  });

  test('to go on once aborted', async () => {
    const signal = AbortSignal.abort();
    await assert.rejects(decodeImage(path('420.jpg'), { signal }), { name: 'AbortedError', message: 'decodeImage: aborted' });
    const controller = new AbortController();
    const pending = decodeImage(path('420.jpg'), { signal: controller.signal });
    controller.abort();
    await assert.rejects(pending, { name: 'AbortedError' });
  });
});

test('a large picture does not hold the thread', async () => {
  const file = await sharp({
    create: { width: 4000, height: 3000, channels: 3, background: '#888', noise: { type: 'gaussian', mean: 128, sigma: 30 } },
  })
    .jpeg()
    .toBuffer();
  let width = 0;
  const turns = await turnsDuring(async () => {
    ({ width } = await decodeImage(file));
  });
  assert.equal(width, 4000);
  assert.ok(turns > 100, `${turns} turns`);
});
