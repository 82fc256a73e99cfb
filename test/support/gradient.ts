import { strict as assert } from 'node:assert';
import { backward, type Tensor, tensor } from '../../lib';
import { countOf, randnArray } from './data';

type Input = readonly number[] | { values: Float32Array; shape: readonly number[] };
const isShape = (input: Input): input is readonly number[] => Array.isArray(input);

/**
 * The gradient of `op` in every input agrees with central differences of sum(op(inputs) * weights), random weights.
 * @param inputs - shapes (filled with seeded normals) or Float32Arrays with a shape.
 */
export async function expectGradient(op: (...inputs: Tensor[]) => Tensor, ...inputs: Input[]): Promise<void> {
  const given = inputs.map((input, i) => (isShape(input) ? { values: randnArray(countOf(input), 17 + i), shape: input } : input));
  const leaves = given.map(({ values, shape }) => {
    const leaf = tensor(values, shape);
    leaf.requiresGrad = true;
    return leaf;
  });
  const y = op(...leaves);
  const weights = randnArray(y.count, 5);
  backward(y, tensor(weights, y.shape));
  const gradients = await Promise.all(
    leaves.map(async (leaf, i) => {
      assert.ok(leaf.grad, `input ${i} got no gradient`);
      assert.deepEqual(leaf.grad.shape, leaf.shape);
      return leaf.grad.read();
    }),
  );

  const loss = async (changed: number, values: Float32Array): Promise<number> => {
    const result = await op(...given.map((one, i) => tensor(i === changed ? values : one.values, one.shape))).read();
    let sum = 0;
    for (let i = 0; i < result.length; i++) sum += (result[i] as number) * (weights[i] as number);
    return sum;
  };
  const step = 2 ** -7;
  for (const [index, { values }] of given.entries()) {
    const gradient = gradients[index] as Float32Array;
    const largest = gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 1e-3);
    for (let i = 0; i < values.length; i++) {
      const [above, below] = [values.slice(), values.slice()];
      above[i] = (values[i] as number) + step;
      below[i] = (values[i] as number) - step;
      const slope = ((await loss(index, above)) - (await loss(index, below))) / (2 * step);
      const got = gradient[i] as number;
      // The step's own error is of order step^2; f32 rounding of the loss over the step about 1e-4.
      assert.ok(
        Math.abs(got - slope) <= 5e-3 * largest + 2e-3 * Math.abs(slope) + 1e-3,
        `gradient of input ${index}, element ${i} is ${got}, central differences say ${slope}`,
      );
    }
  }
  for (const leaf of leaves) leaf.grad?.dispose();
}
