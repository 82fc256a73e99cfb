import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { decodeImage } from '../../lib';
import { lineChartPng } from '../../lib/image/line_chart';

const draw = async (points: [number, number][]) =>
  decodeImage(
    await lineChartPng([{ name: 'a & <b>', points, colour: '#ff0000', width: 3 }], { title: 't', xLabel: 'x', width: 300, height: 200 }),
  );

/** Rows of the red pixels of a column. */
function redRows({ data, width, height }: Awaited<ReturnType<typeof draw>>, column: number): number[] {
  return Array.from({ length: height }, (_, row) => row).filter((row) => {
    const at = 3 * (row * width + column);
    return (data[at] as number) > 200 && (data[at + 1] as number) < 80;
  });
}

test('a line falls from the upper left to the lower right', async () => {
  const picture = await draw([
    [0, 10],
    [5, Number.NaN],
    [100, 0],
  ]);
  assert.deepEqual([picture.width, picture.height], [300, 200]);
  const [left = [], right = []] = [redRows(picture, 90), redRows(picture, 270)];
  assert.ok(left.length > 0 && right.length > 0 && Math.max(...left) < Math.min(...right));
});

test('nothing, a point, and very many points are drawn', async () => {
  for (const points of [[], [[3, 2]], Array.from({ length: 50_000 }, (_, i) => [i, Math.sin(i)])] as [number, number][][])
    assert.equal((await draw(points)).width, 300);
});
