import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, crossEntropy, linear, maskLoss, objective, Scope, slice, type Tensor, tensor } from '../../lib';
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

  test('adds how far scores of masks are off, whose gradient is theirs alone', async () => {
    using _scope = Scope.open();
    const [first, third] = [masks(2, 3), masks(1, 4)];
    const told = [tensor([0.3, 0.9], [2]), tensor([0.5], [1])] as const;
    for (const one of told) one.requiresGrad = true;
    const given = {
      ...inputs(),
      predMasks: [first, undefined, third],
      predIous: [told[0], undefined, told[1]],
      gtMasks: [truth(2), undefined, truth(1)],
    };
    const is = [...(await maskLoss(first, truth(2)).iou.read()), ...(await maskLoss(third, truth(1)).iou.read())];
    assert.ok(
      is.every((iou) => iou > 0 && iou < 1),
      `${is}`,
    );
    const off = [0.3, 0.9, 0.5].map((score, i) => score - (is[i] as number));
    const [plain, scored] = [objective(given), objective(given, { iou: 6 })];
    const added = (await scored.loss.item()) - (await plain.loss.item());
    assert.ok(Math.abs(added - 2 * off.reduce((sum, one) => sum + one * one, 0)) < 1e-5, `${added}`);
    assert.equal(await scored.maskLoss.item(), await plain.maskLoss.item());
    backward(scored.loss);
    const gradients = [...(await (told[0].grad as Tensor).read()), ...(await (told[1].grad as Tensor).read())];
    for (const [i, one] of gradients.entries()) assert.ok(Math.abs(one - 4 * (off[i] as number)) < 1e-5, `${one}`);
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
