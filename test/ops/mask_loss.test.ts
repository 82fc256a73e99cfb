import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { backward, maskLoss, type Tensor, tensor } from '../../lib';
import { expectClose } from '../support/close';
import { countOf, randn, randnArray } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { expectGradient } from '../support/gradient';

const targets = (shape: readonly number[], seed: number) =>
  Uint8Array.from(randnArray(countOf(shape), seed), (value) => (value > 0.3 ? 1 : 0));

interface Losses {
  bce: number;
  dice: number;
  iou: number[];
  dbce: Float64Array;
  ddice: Float64Array;
}

/** Both losses and their gradients by the definition, in float64. */
function oracle(pred: ArrayLike<number>, target: ArrayLike<number>, masks: number, count: number): Losses {
  const pixels = pred.length / masks;
  const result = { bce: 0, dice: 0, iou: [] as number[], dbce: new Float64Array(pred.length), ddice: new Float64Array(pred.length) };
  for (let mask = 0; mask < masks; mask++) {
    const [begin, end] = [mask * pixels, (mask + 1) * pixels];
    let [both, sum, hit, either] = [0, 0, 0, 0];
    for (let i = begin; i < end; i++) {
      const [x, t] = [pred[i] as number, target[i] as number];
      const p = 1 / (1 + Math.exp(-x));
      result.bce += (Math.max(x, 0) - x * t + Math.log1p(Math.exp(-Math.abs(x)))) / pixels / count;
      result.dbce[i] = (p - t) / pixels / count;
      both += (p * t) / 1000;
      sum += (p + t) / 1000;
      hit += Number(x > 0 && t > 0);
      either += Number(x > 0 || t > 0);
    }
    result.iou.push(either > 0 ? hit / either : 1);
    result.dice += (1 - (2 * both + 1e-6) / (sum + 1e-6)) / count;
    for (let i = begin; i < end; i++) {
      const p = 1 / (1 + Math.exp(-(pred[i] as number)));
      const slope = (2 * both + 1e-6) / (sum + 1e-6) ** 2 - (2 * (target[i] as number)) / (sum + 1e-6);
      result.ddice[i] = (slope * p * (1 - p)) / 1000 / count;
    }
  }
  return result;
}

onEveryDevice('maskLoss', () => {
  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    for (const shape of [
      [1, 1, 1],
      [3, 9, 11],
      [2, 66, 257],
      [5, 1, 16],
    ] as const)
      for (const kind of ['f32', 'u8'] as const)
        test(`agrees with float64 on ${dtype} [${shape}], targets ${kind}`, async () => {
          const target = tensor(kind === 'u8' ? targets(shape, 2) : Float32Array.from(targets(shape, 2)), shape);
          const expected = oracle(await randn(shape, 1, dtype).read(), await target.read(), shape[0], 7);
          const { iou } = maskLoss(randn(shape, 1, dtype), target);
          assert.deepEqual([...iou.shape], [shape[0]]);
          await expectClose(iou, expected.iou, { terms: 1 });
          for (const name of ['bce', 'dice'] as const) {
            const pred = randn(shape, 1, dtype);
            pred.requiresGrad = true;
            const loss = maskLoss(pred, target, { count: 7 })[name];
            assert.deepEqual([...loss.shape], []);
            await expectClose(loss, [expected[name]], { terms: 8 });
            const upstream = -countOf(shape); // keeps gradients of f16 above its subnormals
            backward(loss, tensor([upstream], []));
            await expectClose(
              pred.grad as Tensor,
              expected[`d${name}`].map((value) => upstream * value),
              { terms: 8 },
            );
            pred.grad?.dispose();
          }
        });

  test('extreme logits give finite losses and gradients', async () => {
    const values = [-1e4, -200, -88, -30, 30, 88, 200, 1e4];
    const target = tensor([0, 1, 0, 1, 0, 1, 0, 1], [1, 2, 4], 'u8');
    const pred = tensor(values, [1, 2, 4]);
    pred.requiresGrad = true;
    const expected = oracle(values, [0, 1, 0, 1, 0, 1, 0, 1], 1, 1);
    const { bce, dice } = maskLoss(pred, target);
    await expectClose(bce, [expected.bce], { terms: 1 });
    await expectClose(dice, [expected.dice], { terms: 1 });
    backward(bce, tensor([1], []));
    await expectClose(pred.grad as Tensor, expected.dbce, { terms: 1 });
    pred.grad?.dispose();
  });

  test('a logit far from 0 keeps the small loss it has', async () => {
    const { bce } = maskLoss(tensor([20], [1, 1, 1]), tensor([1], [1, 1, 1], 'u8'));
    const expected = Math.log1p(Math.exp(-20));
    assert.ok(Math.abs((await bce.item()) - expected) < 1e-6 * expected);
  });

  test('a mask that is right has an IoU of 1, as has none where there is none; a logit of 0 is outside', async () => {
    const { iou } = maskLoss(tensor([3, -1, -2, 0, 0, -1, 1, 1], [4, 1, 2]), tensor([1, 0, 0, 0, 1, 0, 1, 0], [4, 1, 2], 'u8'));
    assert.deepEqual([...(await iou.read())], [1, 1, 0, 0.5]);
    assert.equal(iou.requiresGrad, false);
  });

  test('gradient agrees with central differences', async () => {
    const target = tensor([0, 1, 1, 0, 0, 0], [2, 1, 3], 'u8');
    await expectGradient((pred) => maskLoss(pred, target).bce, [2, 1, 3]);
    await expectGradient((pred) => maskLoss(pred, target, { count: 0.5, scale: 2, eps: 0.1 }).dice, [2, 1, 3]);
  });

  test('no masks, or no pixels, lose nothing', async () => {
    for (const shape of [
      [0, 3, 3],
      [2, 0, 3],
    ]) {
      const pred = randn(shape, 1);
      pred.requiresGrad = true;
      const { bce, dice } = maskLoss(pred, tensor([], shape, 'u8'));
      assert.deepEqual([await bce.item(), await dice.item()], [0, 0]);
      backward(bce, tensor([1], []));
      assert.deepEqual([...(pred.grad as Tensor).shape], shape);
      pred.grad?.dispose();
    }
  });

  test('names what does not fit', () => {
    const refuses = (call: () => unknown, name: string, message: string) => assert.throws(call, { name, message: `maskLoss: ${message}` });
    const pred = randn([1, 2, 2], 1);
    const target = tensor([0, 1, 1, 0], [1, 2, 2], 'u8');
    refuses(() => maskLoss(target, target), 'DtypeError', 'pred is u8, expected f32, bf16 or f16');
    refuses(() => maskLoss(pred, randn([1, 2, 2], 1, 'bf16')), 'DtypeError', 'target is bf16, expected f32 or u8');
    refuses(() => maskLoss(randn([2, 2], 1), target), 'ShapeError', 'pred is [2, 2], expected [masks, height, width]');
    refuses(() => maskLoss(pred, randn([1, 2, 3], 1)), 'ShapeError', 'target is [1, 2, 3], expected [1, 2, 2], the shape of pred');
    refuses(() => maskLoss(pred, target, { count: -1 }), 'ArgumentError', 'count is -1.000000, expected a finite number, 0 or more');
    refuses(() => maskLoss(pred, target, { scale: 0 }), 'ArgumentError', 'scale is 0, expected a finite number above 0');
    refuses(() => maskLoss(pred, target, { eps: -1 }), 'ArgumentError', 'eps is -1, expected a finite number above 0');
  });
});
