import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { Trainer, tensor, tidy } from '../../lib';
import { mapPair } from '../../lib/train/map_pair';
import { onEveryDevice } from '../support/devices';
import { batchOf, tinySample, tinyTrainable } from '../support/tiny_training';
import { temporaryFolder } from '../support/weights';

const [width, height] = [8, 6];
const image = { data: new Uint8Array(width * height * 3), width, height };

onEveryDevice('beside the losses of answers and masks', () => {
  test('prompts are multiplied with each place, whose mask is that of its middle', async () => {
    // A map of 4 x 4 places with two channels: the first is the column, the second the row. A place has 2 x 2 pixels.
    const map = tensor([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3], [1, 2, 4, 4]);
    const prompts = tensor([1, 0, 0, -2], [2, 1, 2]);
    const right = Uint8Array.from({ length: width * height }, (_, i) => Number(i % width >= 5));
    const top = Uint8Array.from({ length: width * height }, (_, i) => Number(i < 2 * width));
    const { pred, target } = mapPair(prompts, map, [right, top], image);
    assert.deepEqual(
      [pred.shape, target.shape],
      [
        [2, 4, 4],
        [2, 4, 4],
      ],
    );
    const values = await pred.read();
    for (let i = 0; i < 16; i++) {
      assert.ok(Math.abs((values[i] as number) - (i % 4) / Math.SQRT2) < 1e-6);
      assert.ok(Math.abs((values[16 + i] as number) + (2 * Math.floor(i / 4)) / Math.SQRT2) < 1e-6);
    }
    // The last row is below the picture.
    const [columns, none] = [
      [0, 0, 1, 1],
      [0, 0, 0, 0],
    ];
    assert.deepEqual(Array.from(await target.read()), [columns, columns, columns, none, [1, 1, 1, 1], none, none, none].flat());
  });

  test('map adds to the loss by its weight, and to nothing else', async () => {
    using folder = temporaryFolder();
    using opened = await tinyTrainable(folder.path, { set: 'full' });
    const losses = async (weight: number) => {
      using trainer = new Trainer(opened.model, opened.speech, { schedule: () => 0, weights: { map: weight } });
      return tidy(async () => {
        const { loss, ceLoss, maskLoss } = trainer.evaluate(trainer.items(batchOf([tinySample(1), tinySample(2), tinySample(3)]), []));
        return [await loss.item(), (await ceLoss.item()) + (await maskLoss.item())] as const;
      });
    };
    const [none, one, two] = [await losses(0), await losses(1), await losses(2)];
    assert.ok(Math.abs(none[0] - none[1]) < 1e-5);
    assert.equal(one[1], none[1]);
    assert.ok(one[0] > none[0] + 0.1 && Math.abs(two[0] - none[0] - 2 * (one[0] - none[0])) < 1e-4);
  });
});
