import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { add, backward, bilinear, type Dtype, maskLoss, slice, type Tensor, tensor } from '../../lib';
import { resized, resizedBackward } from '../support/bilinear';
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

interface Resizing {
  readonly low: readonly [masks: number, height: number, width: number];
  readonly target: readonly [height: number, width: number];
  /** A side of the network's input, and of it what is picture. */
  readonly input?: readonly [side: number, height: number, width: number];
}

const resizings: readonly Resizing[] = [
  { low: [2, 16, 16], target: [64, 64] },
  { low: [3, 5, 7], target: [13, 11] },
  { low: [2, 9, 33], target: [4, 8] }, // fewer pixels than logits
  { low: [1, 70, 41], target: [13, 41] },
  { low: [2, 1, 1], target: [5, 3] },
  { low: [1, 20, 70], target: [75, 290] },
  { low: [1, 2, 2], target: [3, 700] },
  { low: [1, 3, 1], target: [600, 1] },
  { low: [2, 16, 16], target: [43, 64], input: [64, 43, 64] },
  { low: [3, 16, 16], target: [31, 41], input: [64, 48, 64] },
  { low: [2, 16, 16], target: [150, 63], input: [64, 64, 27] },
  { low: [1, 20, 20], target: [40, 40], input: [80, 80, 80] },
  { low: [1, 2, 2], target: [1, 9], input: [8, 1, 8] },
  { low: [2, 4, 4], target: [6, 9], input: [4, 3, 4] },
  { low: [1, 11, 9], target: [8, 5], input: [12, 12, 7] },
];
const nameOf = ({ low, target, input }: Resizing) => `[${low}] to [${target}]${input ? ` by [${input}]` : ''}`;
const placementOf = ({ input }: Resizing) => input && { inputSize: input[0], resized: [input[1], input[2]] as const };

/** In float64: `[masks, ...low]` to `[masks, ...target]`, and gradients back. */
function ways({ low: [masks, ...low], target, input }: Resizing) {
  if (!input)
    return {
      forth: (x: ArrayLike<number>) => resized(x, masks, low, target),
      back: (dy: ArrayLike<number>) => resizedBackward(dy, masks, low, target),
    };
  const [side, height, width] = input;
  /** Of each pixel of the part that is picture, its place in the input. */
  const places = Array.from({ length: masks * height * width }, (_, i) => {
    const line = Math.floor(i / width);
    return (Math.floor(line / height) * side + (line % height)) * side + (i % width);
  });
  return {
    forth: (x: ArrayLike<number>) => {
      const whole = resized(x, masks, low, [side, side]);
      return resized(
        places.map((place) => whole[place] as number),
        masks,
        [height, width],
        target,
      );
    },
    back: (dy: ArrayLike<number>) => {
      const whole = new Float64Array(masks * side * side);
      for (const [i, value] of resizedBackward(dy, masks, [height, width], target).entries()) whole[places[i] as number] = value;
      return resizedBackward(whole, masks, low, [side, side]);
    },
  };
}

/** The same by the ops that it stands for. */
function composed({ target, input }: Resizing, pred: Tensor): Tensor {
  if (!input) return bilinear(pred, ...target);
  const [side, height, width] = input;
  return bilinear(slice(slice(bilinear(pred, side, side), 1, 0, height), 2, 0, width), ...target);
}

/** Both losses and the gradient of their sum, which the caller disposes. */
async function lossesOf(resizing: Resizing, dtype: Dtype, loss: (pred: Tensor, target: Tensor) => ReturnType<typeof maskLoss>) {
  const pred = randn(resizing.low, 1, dtype);
  pred.requiresGrad = true;
  const shape = [resizing.low[0], ...resizing.target];
  const { bce, dice, iou } = loss(pred, tensor(targets(shape, 2), shape));
  const upstream = tensor([-countOf(shape)], []); // keeps gradients of f16 above its subnormals
  backward(add(bce, dice), upstream);
  const grad = pred.grad as Tensor;
  return { bce, dice, iou, grad };
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

  for (const resizing of resizings)
    for (const dtype of ['f32', 'bf16', 'f16'] as const)
      test(`agrees with float64 on ${dtype} ${nameOf(resizing)}`, async () => {
        const shape = [resizing.low[0], ...resizing.target];
        const { forth, back } = ways(resizing);
        const expected = oracle(forth(await randn(resizing.low, 1, dtype).read()), targets(shape, 2), resizing.low[0], 7);
        const options = { placement: placementOf(resizing), count: 7 };
        const { bce, dice, iou, grad } = await lossesOf(resizing, dtype, (pred, target) => maskLoss(pred, target, options));
        await expectClose(bce, [expected.bce], { terms: 8 });
        await expectClose(dice, [expected.dice], { terms: 8, scale: 1 }); // 1 less what may be near 1
        await expectClose(iou, expected.iou, { terms: 1 });
        const upstream = -countOf(shape);
        const wanted = back(expected.dbce.map((value, i) => upstream * (value + (expected.ddice[i] as number))));
        await expectClose(grad, wanted, { terms: 8 + (8 * countOf(shape)) / countOf(resizing.low) });
        grad.dispose();
      });

  for (const resizing of resizings)
    test(`is what resizing first gives: ${nameOf(resizing)}`, async () => {
      const one = await lossesOf(resizing, 'f32', (pred, target) => maskLoss(pred, target, { placement: placementOf(resizing) }));
      const other = await lossesOf(resizing, 'f32', (pred, target) => maskLoss(composed(resizing, pred), target));
      const terms = 8 + (8 * countOf(resizing.target)) / (resizing.low[1] * resizing.low[2]);
      for (const name of ['bce', 'dice', 'iou', 'grad'] as const) {
        await expectClose(one[name], await other[name].read(), { terms });
      }
      for (const { grad } of [one, other]) grad.dispose();
    });

  test('is the same to the bit every time, and a gradient whatever masks are beside', async () => {
    const resizing: Resizing = { low: [5, 37, 23], target: [90, 71], input: [92, 80, 92] };
    const shape = [5, ...resizing.target];
    const gradientOf = async (first: number, last: number) => {
      const pred = slice(randn(resizing.low, 1), 0, first, last);
      pred.requiresGrad = true;
      const { bce, dice } = maskLoss(pred, slice(tensor(targets(shape, 2), shape), 0, first, last), {
        placement: placementOf(resizing),
        count: 5,
      });
      const losses = [await bce.item(), await dice.item()];
      backward(add(bce, dice));
      const gradient = [...(await (pred.grad as Tensor).read())];
      pred.grad?.dispose();
      return { losses, gradient };
    };
    const together = await gradientOf(0, 5);
    assert.deepEqual(await gradientOf(0, 5), together);
    const apart: number[] = [];
    for (let mask = 0; mask < 5; mask++) apart.push(...(await gradientOf(mask, mask + 1)).gradient);
    assert.deepEqual(apart, together.gradient);
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
    const larger = tensor(targets([2, 5, 7], 3), [2, 5, 7]);
    for (const placement of [undefined, { inputSize: 12, resized: [10, 12] as const }]) {
      await expectGradient((pred) => maskLoss(pred, larger, { placement }).bce, [2, 3, 4]);
      await expectGradient((pred) => maskLoss(pred, larger, { placement, count: 0.5, scale: 2, eps: 0.1 }).dice, [2, 3, 4]);
    }
  });

  test('no masks, or no pixels, lose nothing', async () => {
    for (const [shape, of] of [
      [
        [0, 3, 3],
        [0, 3, 3],
      ],
      [
        [2, 0, 3],
        [2, 0, 3],
      ],
      [
        [2, 0, 3],
        [2, 5, 0],
      ],
      [
        [0, 3, 3],
        [0, 7, 9],
      ],
      [
        [2, 3, 3],
        [2, 0, 3],
      ],
      [
        [2, 3, 3],
        [2, 3, 0],
      ],
    ] as const) {
      const pred = randn(shape, 1);
      pred.requiresGrad = true;
      const { bce, dice } = maskLoss(pred, tensor([], of, 'u8'));
      assert.deepEqual([await bce.item(), await dice.item()], [0, 0]);
      backward(bce, tensor([1], []));
      assert.deepEqual([...(pred.grad as Tensor).shape], shape);
      assert.ok((await (pred.grad as Tensor).read()).every((value) => value === 0));
      pred.grad?.dispose();
    }
  });

  test('names what does not fit', () => {
    const refuses = (call: () => unknown, name: string, message: string) => assert.throws(call, { name, message: `maskLoss: ${message}` });
    const pred = randn([1, 2, 2], 1);
    const target = tensor([0, 1, 1, 0], [1, 2, 2], 'u8');
    refuses(() => maskLoss(target, target), 'DtypeError', 'pred is u8, expected f32, bf16 or f16');
    refuses(() => maskLoss(pred, randn([1, 2, 2], 1, 'bf16')), 'DtypeError', 'target is bf16, expected f32 or u8');
    refuses(() => maskLoss(randn([2, 2], 1), target), 'ShapeError', 'pred is [2, 2], expected [masks, lowHeight, lowWidth]');
    refuses(() => maskLoss(pred, randn([2, 2], 1)), 'ShapeError', 'target is [2, 2], expected [masks, height, width]');
    refuses(() => maskLoss(pred, randn([3, 2, 2], 1)), 'ShapeError', 'target is [3, 2, 2], expected 1 along axis 0, the masks of pred');
    refuses(() => maskLoss(randn([1, 0, 2], 1), target), 'ShapeError', 'pred is [1, 0, 2], expected at least one pixel');
    const placed = (inputSize: number, height: number, width: number) => () =>
      maskLoss(pred, target, { placement: { inputSize, resized: [height, width] } });
    refuses(placed(1, 1, 1), 'ArgumentError', 'inputSize is 1, expected 2, the longer side of pred, to 2^24');
    refuses(placed(0, 2, 2), 'ArgumentError', 'inputSize is 0, expected 2, the longer side of pred, to 2^24');
    refuses(placed(4, 0, 4), 'ArgumentError', 'resizedHeight is 0, expected 1 to 4, inputSize');
    refuses(placed(4, 4, 5), 'ArgumentError', 'resizedWidth is 5, expected 1 to 4, inputSize');
    refuses(() => maskLoss(pred, target, { count: -1 }), 'ArgumentError', 'count is -1.000000, expected a finite number, 0 or more');
    refuses(() => maskLoss(pred, target, { scale: 0 }), 'ArgumentError', 'scale is 0, expected a finite number above 0');
    refuses(() => maskLoss(pred, target, { eps: -1 }), 'ArgumentError', 'eps is -1, expected a finite number above 0');
  });
});
