import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import sharp from 'sharp';
import { decodeImage, drawOverlay, maskColor, type OverlayMask, type RgbImage, rleFromPolygons, rleFromRuns } from '../../lib';
import { uniform } from '../support/data';
import { turnsDuring } from '../support/turns';

const square = (left: number, top: number, right: number, bottom: number) => [left, top, right, top, right, bottom, left, bottom];

function picture(width: number, height: number): RgbImage {
  const next = uniform(width);
  return { data: Uint8Array.from({ length: width * height * 3 }, () => next() * 256), width, height };
}

const decode = async (file: Uint8Array) => (await decodeImage(file)).data;

describe('drawOverlay', () => {
  const image = picture(70, 50);
  const size = [50, 70] as const;
  const part: OverlayMask = { rle: rleFromPolygons([{ outer: square(10, 5, 40, 45), holes: [square(20, 15, 30, 30)] }], size) };
  const inside = (x: number, y: number) => x >= 10 && x < 40 && y >= 5 && y < 45 && !(x >= 20 && x < 30 && y >= 15 && y < 30);

  test('mixes the colour into the pixels of the mask and no other', async () => {
    for (const [opacity, color] of [
      [0.5, undefined],
      [0.25, [0, 255, 100]],
    ] as const) {
      const drawn = await decode(await drawOverlay(image, [{ ...part, color }], { outline: 0, opacity }));
      const wanted = color ?? maskColor(0);
      for (let i = 0; i < drawn.length; i++) {
        const [x, y] = [Math.floor(i / 3) % 70, Math.floor(i / 210)];
        const before = image.data[i] as number;
        const after = inside(x, y) ? before * (1 - opacity) + opacity * (wanted[i % 3] as number) : before;
        assert.ok(Math.abs((drawn[i] as number) - after) <= (inside(x, y) ? 2 : 0), `${x}, ${y}: ${drawn[i]}, expected ${after}`);
      }
    }
  });

  test('outlines are of the full colour, along the border', async () => {
    const drawn = await decode(await drawOverlay(image, [part], { outline: 2 }));
    const at = (x: number, y: number) => [...drawn.subarray((y * 70 + x) * 3, (y * 70 + x) * 3 + 3)];
    for (const [x, y] of [
      [10, 20],
      [9, 20],
      [39, 20],
      [25, 5],
      [20, 20],
    ] as const)
      assert.deepEqual(at(x, y), maskColor(0));
  });

  test('later masks lie above, each in its own colour', async () => {
    const both = [part, { rle: rleFromPolygons([square(30, 5, 60, 45)], size) }];
    const drawn = await decode(await drawOverlay({ ...image, data: new Uint8Array(image.data.length) }, both, { outline: 0, opacity: 1 }));
    const at = (x: number, y: number) => [...drawn.subarray((y * 70 + x) * 3, (y * 70 + x) * 3 + 3)];
    assert.deepEqual([at(15, 10), at(35, 10), at(55, 10)], [maskColor(0), maskColor(1), maskColor(1)]);
  });

  test('labels are written, whatever they hold', async () => {
    const [without, ...others] = await Promise.all(
      [undefined, 'dog', '<&"\'>', '\u0000\u0007\ud800 x', `${'long '.repeat(500)}`, '天空', '🦊', '   '].map(async (label) =>
        decode(await drawOverlay(image, [{ ...part, label }])),
      ),
    );
    for (const [i, one] of others.entries()) assert.equal(Buffer.compare(one, without as Uint8Array) === 0, i === others.length - 1);
  });

  test('many labels, of masks that are alike, empty or at the edge', async () => {
    const masks = Array.from({ length: 30 }, (_, i) => ({ ...part, label: `thing ${i}` }));
    const edge = [
      { rle: rleFromRuns([3500], size), label: 'nothing' },
      { rle: rleFromRuns([0, 1, 3499], size), label: 'corner' },
      { rle: rleFromRuns([0, 3500], size), label: 'all' },
    ];
    const { width, height } = await decodeImage(await drawOverlay(image, [...masks, ...edge]));
    assert.deepEqual([width, height], [70, 50]);
    await drawOverlay(picture(1, 1), [{ rle: rleFromRuns([0, 1], [1, 1]), label: 'pixel' }]);
  });

  test('without masks it is the picture; jpeg is made on demand', async () => {
    assert.equal(Buffer.compare(await decode(await drawOverlay(image, [])), image.data), 0);
    assert.equal((await sharp(await drawOverlay(image, [part], { format: 'jpeg', quality: 50 })).metadata()).format, 'jpeg');
  });

  test('draws what is wider than one drawing may be', async () => {
    const [width, height] = [40_000, 3];
    const wide = { data: new Uint8Array(width * height * 3), width, height };
    const rle = rleFromPolygons([square(100, 1, 39_990, 2)], [height, width]);
    const drawn = await decode(await drawOverlay(wide, [{ rle, color: [200, 100, 50] }], { outline: 0, opacity: 1 }));
    for (const x of [0, 99, 100, 16_383, 16_384, 32_768, 39_989, 39_990, 39_999])
      assert.deepEqual(
        [...drawn.subarray((width + x) * 3, (width + x) * 3 + 3)],
        x >= 100 && x < 39_990 ? [200, 100, 50] : [0, 0, 0],
        `${x}`,
      );
  });

  test('noise is drawn, and does not hold the thread', async () => {
    const next = uniform(2);
    const runs: number[] = [];
    for (let left = 1e6; left > 0; left -= runs.at(-1) as number) runs.push(Math.min(left, 1 + Math.floor(next() * 9)));
    const noisy = { rle: rleFromRuns(runs, [1000, 1000]), label: 'noise' };
    const ground = { data: new Uint8Array(3e6), width: 1000, height: 1000 };
    const turns = await turnsDuring(() => drawOverlay(ground, [noisy], { format: 'jpeg' }));
    assert.ok(turns > 50, `${turns} turns`);
  });

  test('refuses what does not fit', async () => {
    const refuses = (masks: unknown, options: unknown, message: string, of: unknown = image) =>
      assert.rejects(drawOverlay(of as RgbImage, masks as OverlayMask[], options as object), { name: 'ArgumentError', message });
    await refuses([], {}, 'image: data is undefined, expected a Uint8Array of red, green and blue, row by row', {});
    const other = { rle: rleFromRuns([12], [3, 4]) };
    await refuses([part, other], {}, 'drawOverlay: masks[1] is [3,4], expected [50,70], the size of the picture');
    await refuses([{}], {}, 'drawOverlay: masks[0] is [undefined], expected [50,70], the size of the picture');
    await refuses(undefined, {}, 'drawOverlay: masks is undefined, expected a list');
    await refuses([{ rle: { size, counts: '1' } }], {}, 'rle: counts cover 1 of 3500 pixels');
    await refuses([part], { opacity: 2 }, 'drawOverlay: opacity is 2, expected 0 to 1');
    await refuses([part], { outline: -1 }, 'drawOverlay: outline is -1, expected 0 to 1000');
    await refuses([part], { format: 'gif' }, 'drawOverlay: format is "gif", expected png or jpeg');
    await refuses([part], { format: 'jpeg', quality: 0 }, 'drawOverlay: quality is 0, expected 1 to 100');
    await refuses(
      [{ ...part, color: [300, 0, 0] }],
      {},
      'drawOverlay: masks[0] has the color [300, 0, 0], expected red, green and blue, 0 to 255',
    );
    await refuses([{ ...part, color: 'red' }], {}, 'drawOverlay: masks[0] has the color "red", expected red, green and blue, 0 to 255');
    await refuses([{ ...part, label: 5 }], {}, 'drawOverlay: masks[0] has the label 5, expected a string');
    await refuses([part], { opactiy: 1 }, 'drawOverlay: opactiy is no option; did you mean opacity?');
  });
});

test('colours of neighbours are far apart', () => {
  for (let i = 0; i < 40; i++) {
    const [a, b] = [maskColor(i), maskColor(i + 1)];
    assert.ok(a.every((value) => Number.isInteger(value) && value >= 0 && value <= 255));
    assert.ok(Math.hypot(...a.map((value, channel) => value - (b[channel] as number))) > 80, `${i}: ${a}, ${b}`);
  }
  for (const index of [-1, 0.5, undefined as never])
    assert.throws(() => maskColor(index), {
      name: 'ArgumentError',
      message: `maskColor: index is ${index}, expected a whole number, 0 or more`,
    });
});
