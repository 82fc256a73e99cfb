import { strict as assert } from 'node:assert';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, test } from '@jest/globals';
import { type Rle, SegmentAnything } from '../../lib';
import { mglmm } from '../support/command';
import { goldenFolder } from '../support/golden';
import { type MglmmGolden, mglmmGoldens } from '../support/mglmm_golden';
import { picture } from '../support/picture';
import { encodePng } from '../support/png';
import { tinyModel } from '../support/tiny_model';
import { temporaryFolder } from '../support/weights';

interface Segmented {
  masks: { box: number[]; score: number; area: number; segmentation: Rle; file?: string }[];
}

const [golden] = mglmmGoldens() as [MglmmGolden];
const alone = join(goldenFolder, golden.name, 'checkpoints/sam.pth');
const model = tinyModel(golden);
const folder = temporaryFolder();
const { data, width, height } = picture(44, 60);
const image = folder.file('scene.png', encodePng({ width, height, pixels: data }));
afterAll(() => {
  model[Symbol.dispose]();
  folder[Symbol.dispose]();
});

const segment = (path: string, ...args: string[]) => mglmm(['segment', image, '--model', path, ...args]);

describe('mglmm segment', () => {
  test('writes the masks of points', async () => {
    await using sam = await SegmentAnything.load(alone);
    const request = {
      image,
      points: [
        [20, 30],
        [3, 4],
      ] as const,
      labels: [1, 0] as const,
      multimask: true,
    };
    const [expected] = await sam.segmentAnything(request);
    const out = folder.file('out');
    const { code, out: text, err } = await segment(alone, '--point', '20,30', '--not', '3,4', '--multimask', '--out', out);
    assert.equal(code, 0, err);
    const { masks } = JSON.parse(readFileSync(join(out, 'segment.json'), 'utf8')) as Segmented;
    assert.deepEqual(
      masks.map(({ segmentation }) => segmentation),
      expected?.map(({ mask }) => ({ ...mask.rle })),
    );
    assert.equal(readdirSync(out).sort().join(), 'mask_0.png,mask_1.png,mask_2.png,overlay.png,segment.json');
    assert.match(text, /^[\d.]+ {2}.*mask_0\.png\n.*mask_1\.png\n.*mask_2\.png\n$/);
  });

  test('takes boxes, and a model that has Segment Anything in it', async () => {
    const { code, out, err } = await segment(model.path, '--box', '2,2,30,40', '--box', '0,0,44,60', '--json');
    assert.equal(code, 0, err);
    const { masks } = JSON.parse(out) as Segmented;
    assert.deepEqual(
      masks.map(({ segmentation, file }) => [...segmentation.size, file]),
      [
        [60, 44, undefined],
        [60, 44, undefined],
      ],
    );
  });

  test('says of the model that comes with it that it knows no points', async () => {
    const { code, err } = await mglmm(['segment', image, '--point', '20,30', '--json']);
    assert.equal(code, 0, err);
    assert.match(err, /^mglmm-tiny segments, which was not trained for points.*; --model names another\n/);
    assert.doesNotMatch((await segment(alone, '--point', '20,30', '--json')).err, /mglmm-tiny segments/);
  });

  test('says what is wrong with a prompt', async () => {
    const expected = 'error: say what is meant with --point x,y or --box left,top,right,bottom\n';
    assert.deepEqual(await segment(alone), { code: 2, out: '', err: expected });
    assert.match((await segment(alone, '--point', '5')).err, /'5' is invalid\. expected x,y, numbers with commas between\n$/);
    assert.match(
      (await segment(alone, '--point', '500,1', '--json')).err,
      /^mglmm: .*\[500, 1\], expected \[x, y\] within the 44 x 60 pixels/,
    );
  });
});
