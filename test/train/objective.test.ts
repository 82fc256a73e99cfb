import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { crossEntropy, linear, maskLoss, objective, Scope, slice, tensor } from '../../lib';
import { randn } from '../support/data';
import { onEveryDevice } from '../support/devices';

onEveryDevice('objective', () => {
  const inputs = () => ({
    states: randn([2, 4, 6], 1),
    head: randn([9, 6], 2),
    labels: tensor([-100, 3, 8, -100, -100, -100, 0, 1], [2, 4], 'i32'),
  });
  const masks = (count: number, seed: number) => randn([count, 5, 7], seed);
  const truth = (count: number) =>
    tensor(
      Uint8Array.from({ length: count * 35 }, (_, i) => (i % 3) & 1),
      [count, 5, 7],
    );

  test('adds up what its parts say, by weight, over the masks of the whole batch', async () => {
    using _scope = Scope.open();
    const { states, head, labels } = inputs();
    const [first, third] = [masks(2, 3), masks(1, 4)];
    const got = objective(
      { states, head, labels, predMasks: [first, undefined, third], gtMasks: [truth(3), undefined, truth(1)] },
      { ce: 3, bce: 5, dice: 7 },
    );
    const ce = await crossEntropy(linear(states, head), labels, { shift: true }).loss.item();
    const [a, b] = [maskLoss(first, slice(truth(3), 0, 0, 2), { count: 3 }), maskLoss(third, truth(1), { count: 3 })];
    const bce = (await a.bce.item()) + (await b.bce.item());
    const dice = (await a.dice.item()) + (await b.dice.item());
    const near = async (tensor: { item(): Promise<number> }, wanted: number) => assert.ok(Math.abs((await tensor.item()) - wanted) < 1e-4);
    await near(got.ceLoss, 3 * ce);
    await near(got.maskBceLoss, 5 * bce);
    await near(got.maskDiceLoss, 7 * dice);
    await near(got.maskLoss, 5 * bce + 7 * dice);
    await near(got.loss, 3 * ce + 5 * bce + 7 * dice);
  });

  test('is the cross entropy alone where there are no masks', async () => {
    using _scope = Scope.open();
    const got = objective({ ...inputs(), predMasks: [undefined], gtMasks: [truth(2)] });
    assert.equal(await got.loss.item(), await got.ceLoss.item());
    assert.equal(await got.maskLoss.item(), 0);
  });

  test('names the image that has too few true masks', () => {
    using _scope = Scope.open();
    const says = (gtMasks: (ReturnType<typeof truth> | undefined)[], message: string) =>
      assert.throws(() => objective({ ...inputs(), predMasks: [undefined, masks(2, 1)], gtMasks }), { name: 'ArgumentError', message });
    says([undefined, truth(1)], 'objective: image 1 has 1 true masks, expected at least the 2 that are predicted');
    says([], 'objective: image 1 has 0 true masks, expected at least the 2 that are predicted');
  });
});
