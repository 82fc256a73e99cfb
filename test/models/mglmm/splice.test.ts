import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, embedWithImages, imageTokenId, labelsWithImage, nn, predictingPlaces, Scope, sum, zeros } from '../../../lib';
import { randn } from '../../support/data';
import { onEveryDevice } from '../../support/devices';

const image = imageTokenId;

onEveryDevice('embedWithImages', () => {
  test('puts each image in the place of its token', async () => {
    using _scope = Scope.open();
    const table = new nn.Embedding(5, 2).initialize(1);
    const images = randn([2, 3, 2], 1);
    const spliced = embedWithImages(
      table,
      [
        [1, image, 4],
        [image, 2, 3],
      ],
      images,
    );
    assert.deepEqual(spliced.shape, [2, 5, 2]);
    const [got, rows, pixels] = [await spliced.read(), await table.weight.read(), await images.read()] as Float32Array[];
    const row = (id: number) => Array.from((rows as Float32Array).subarray(2 * id, 2 * id + 2));
    const pixel = (i: number) => Array.from((pixels as Float32Array).subarray(6 * i, 6 * i + 6));
    assert.deepEqual(Array.from(got as Float32Array), [...row(1), ...pixel(0), ...row(4), ...pixel(1), ...row(2), ...row(3)]);
    table.dispose();
  });

  test('gives table and images their gradients, the row that stood for the image none', async () => {
    using _scope = Scope.open();
    const table = new nn.Embedding(4, 2).initialize(1).train(() => true);
    const images = zeros([1, 3, 2]);
    images.requiresGrad = true;
    backward(sum(embedWithImages(table, [[1, image, 1]], images)));
    assert.deepEqual(Array.from((await table.weight.grad?.read()) ?? []), [0, 0, 2, 2, 0, 0, 0, 0]);
    assert.deepEqual(Array.from((await images.grad?.read()) ?? []), [1, 1, 1, 1, 1, 1]);
    for (const leaf of [table.weight, images]) leaf.grad?.dispose();
    table.dispose();
  });

  test('embeds a text without an image', async () => {
    using _scope = Scope.open();
    const table = new nn.Embedding(4, 2).initialize(1);
    assert.deepEqual(embedWithImages(table, [[1, 3]]).shape, [1, 2, 2]);
    table.dispose();
  });

  test('says which row does not fit', () => {
    using _scope = Scope.open();
    const table = new nn.Embedding(4, 2).initialize(1);
    const images = zeros([2, 3, 2]);
    const says = (ids: number[][], given: typeof images | undefined, message: string) =>
      assert.throws(() => embedWithImages(table, ids, given), { name: 'ArgumentError', message });
    says([[1, image], [1]], images, 'embed: row 1 has 1 ids, expected 2, as row 0');
    says(
      [
        [1, image],
        [1, 2],
      ],
      images,
      'embed: row 1 has 0 image tokens, expected one, as an image is given',
    );
    says([[image, image]], images, 'embed: row 0 has 2 image tokens, expected one, as an image is given');
    says([[1, image]], undefined, 'embed: row 0 has 1 image tokens, expected none, as no image is given');
    table.dispose();
  });
});

test('predictingPlaces are one before each token, behind the image by as many as it has become', () => {
  assert.deepEqual(predictingPlaces([7, 1, image, 2, 7, 7], 7, 10), [12, 13]);
  assert.deepEqual(predictingPlaces([1, 7, image, 7], 7, 10), [0, 11]);
  assert.deepEqual(predictingPlaces([1, 7, 2, 7], 7, 10), [0, 2]);
});

test('labelsWithImage has none at the image', () => {
  assert.deepEqual(labelsWithImage([1, image, 2], [4, -100, 5], 3, -100), [4, -100, -100, -100, 5]);
  assert.deepEqual(labelsWithImage([1, 2], [4, 5], 3, -100), [4, 5]);
});
