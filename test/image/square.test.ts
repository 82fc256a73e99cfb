import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { square } from '../../lib/image/square';
import { picture } from '../support/picture';

for (const [width, height] of [
  [7, 3],
  [4, 9],
  [1, 6],
] as const) {
  test(`${width} x ${height} stands in the middle of its square, the odd pixel behind it`, async () => {
    const image = picture(width, height);
    const size = Math.max(width, height);
    const got = await square(image, [10, 20, 30]);
    assert.deepEqual([got.width, got.height, got.data.length], [size, size, size * size * 3]);
    const [left, top] = [Math.floor((size - width) / 2), Math.floor((size - height) / 2)];
    for (let y = 0; y < size; y++)
      for (let x = 0; x < size; x++)
        for (let channel = 0; channel < 3; channel++) {
          const isInside = x >= left && x < left + width && y >= top && y < top + height;
          const wanted = isInside ? image.data[((y - top) * width + x - left) * 3 + channel] : 10 * (channel + 1);
          assert.equal(got.data[(y * size + x) * 3 + channel], wanted, `${x}, ${y}`);
        }
  });
}

test('a square is itself', async () => {
  const image = picture(5, 5);
  assert.equal(await square(image, [0, 0, 0]), image);
});
