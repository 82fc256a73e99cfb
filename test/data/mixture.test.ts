/** Draws that follow from a position alone: the same whenever asked, in proportion, each sample once a pass. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import fc from 'fast-check';
import { EachOnce } from '../../lib/data/each_once';
import { Mixture } from '../../lib/data/mixture';
import type { Dataset } from '../../lib/data/sample';
import { hashOf, shuffled } from '../../lib/data/shuffle';
import { ArgumentError } from '../../lib/errors';

const setOf = (length: number, name = `set of ${length}`): Dataset => ({
  name,
  length,
  get: async (index) => ({ id: String(index), conversation: [], masks: [], task: 'caption' }),
});
const lengths = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 4 });
const weights = fc.infiniteStream(fc.constantFrom(1, 2, 5, 0.5, 0.15, 0.4, 3.25));
const seeds = fc.nat();
const few = { numRuns: 15 };
const range = (count: number) => Array.from({ length: count }, (_, i) => i);

describe('shuffled', () => {
  test('is an order: each place once', () =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 150 }), seeds, (length, key) => {
        assert.equal(new Set(range(length).map((i) => shuffled(i, length, key))).size, length);
      }),
      few,
    ));

  test('is another order for another key, and all orders of four come up alike', () => {
    const counts = new Map<string, number>();
    const trials = 2400;
    for (let key = 0; key < trials; key++) {
      const order = range(4)
        .map((i) => shuffled(i, 4, hashOf(key)))
        .join('');
      counts.set(order, (counts.get(order) ?? 0) + 1);
    }
    assert.equal(counts.size, 24);
    const expected = trials / 24;
    const chiSquared = [...counts.values()].reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
    assert.ok(chiSquared < 49.7, `chi squared is ${chiSquared} with 23 degrees of freedom, of which one in a thousand is above 49.7`);
  });

  test('takes long sets', () => {
    const length = 4_000_000_000;
    assert.equal(new Set(range(2000).map((i) => shuffled(i, length, 7))).size, 2000);
    const mean = range(2000).reduce((sum, i) => sum + shuffled(i, length, 7) / length, 0) / 2000;
    assert.ok(Math.abs(mean - 0.5) < 4 * Math.sqrt(1 / 12 / 2000), `the mean place is ${mean}`);
  });
});

describe('Mixture', () => {
  test('draws the same whenever and in whatever order it is asked', () =>
    fc.assert(
      fc.property(lengths, weights, seeds, fc.array(fc.nat({ max: 2 ** 50 }), { maxLength: 20 }), (sizes, weight, seed, positions) => {
        const parts = sizes.map((size) => ({ dataset: setOf(size), weight: weight.next().value }));
        const [first, second] = [new Mixture(parts, seed), new Mixture(parts, seed)];
        const forwards = positions.map((position) => first.draw(position));
        const backwards = [...positions].reverse().map((position) => second.draw(position));
        assert.deepEqual(forwards, backwards.reverse());
        for (const { part, index } of forwards) assert.ok(index >= 0 && index < (sizes[part] as number));
      }),
      few,
    ));

  test('holds the proportions in each block', () => {
    const mixture = new Mixture(
      [0.15, 0.4, 0.45, 0].map((weight, i) => ({ dataset: setOf(7 + i), weight })),
      3,
    );
    assert.deepEqual(mixture.shares, [3, 8, 9, 0]);
    for (const block of [0, 1, 2 ** 40]) {
      const drawn = [0, 0, 0, 0];
      for (let i = 0; i < 20; i++) drawn[mixture.draw(20 * block + i).part]!++;
      assert.deepEqual(drawn, [3, 8, 9, 0]);
    }
  });

  test('is never further from a weight than the block', () =>
    fc.assert(
      fc.property(lengths, weights, seeds, fc.integer({ min: 1, max: 400 }), (sizes, weight, seed, count) => {
        const mixture = new Mixture(
          sizes.map((size) => ({ dataset: setOf(size), weight: weight.next().value })),
          seed,
        );
        const block = mixture.shares.reduce((a, b) => a + b, 0);
        const drawn = sizes.map(() => 0);
        for (let i = 0; i < count; i++) drawn[mixture.draw(i).part]!++;
        for (const [part, share] of mixture.shares.entries())
          assert.ok(Math.abs((drawn[part] as number) - (count * share) / block) <= share, `${drawn} of ${count} for ${mixture.shares}`);
      }),
      few,
    ));

  test('gives each sample of a data set once before any twice', () =>
    fc.assert(
      fc.property(lengths, weights, seeds, (sizes, weight, seed) => {
        const mixture = new Mixture(
          sizes.map((size) => ({ dataset: setOf(size), weight: weight.next().value })),
          seed,
        );
        const seen = sizes.map(() => [] as number[]);
        // Within a block the draws of a set come in another order, so a pass ends a block's share early or late.
        const enough = sizes.map((size, part) => size + (mixture.shares[part] as number));
        for (let at = 0; seen.some((one, part) => one.length < (enough[part] as number)); at++) {
          const { part, index } = mixture.draw(at);
          seen[part]?.push(index);
        }
        for (const [part, size] of sizes.entries()) {
          const share = mixture.shares[part] as number;
          const counts = range(size).map((index) => seen[part]?.slice(0, size + share).filter((one) => one === index).length ?? 0);
          assert.ok(
            counts.every((count) => count >= 1),
            `${counts} of ${size}, share ${share}`,
          );
        }
      }),
      few,
    ));

  test('one data set is an order of it each pass, another one the next', () => {
    const mixture = new Mixture([{ dataset: setOf(50) }], 11);
    const passes = range(3).map((pass) => range(50).map((i) => mixture.draw(50 * pass + i).index));
    for (const pass of passes)
      assert.deepEqual(
        [...pass].sort((a, b) => a - b),
        range(50),
      );
    assert.notDeepEqual(passes[0], passes[1]);
    assert.notDeepEqual(
      passes[0],
      range(50).map((i) => new Mixture([{ dataset: setOf(50) }], 12).draw(i).index),
    );
  });

  test('replaces from the same data set, another sample at each attempt', () => {
    const mixture = new Mixture([{ dataset: setOf(100) }, { dataset: setOf(200) }], 5);
    for (let position = 0; position < 20; position++) {
      const { part } = mixture.draw(position);
      const attempts = range(8).map((attempt) => mixture.replacement(position, attempt + 1));
      assert.ok(attempts.every((one) => one.part === part));
      assert.ok(new Set(attempts.map(({ index }) => index)).size > 4);
      assert.deepEqual(attempts[3], mixture.replacement(position, 4));
    }
  });

  test('refuses what is no mixture', () => {
    const refused = (parts: ConstructorParameters<typeof Mixture>[0], seed?: number) => {
      try {
        new Mixture(parts, seed);
      } catch (error) {
        assert.ok(error instanceof ArgumentError);
        return error.message;
      }
      return undefined;
    };
    const dataset = setOf(3, 'three');
    assert.equal(refused([]), 'mixture: parts is empty, expected at least one data set');
    assert.equal(refused([{ dataset }], -1), 'mixture: seed is -1, expected a whole number, 0 or more');
    assert.equal(refused([{ dataset, weight: Number.NaN }]), 'mixture: the weight of three is NaN, expected a number, 0 or more');
    assert.equal(refused([{ dataset, weight: 1e-9 }]), 'mixture: the weight of three is 1e-9, expected 0 or at least 0.000001');
    assert.equal(refused([{ dataset, weight: 0 }]), 'mixture: all weights are 0, expected one above');
    assert.equal(refused([{ dataset: setOf(0, 'none') }]), 'mixture: parts[0], none, has 0 samples, expected 1 to 4294967295');
    assert.equal(
      refused([
        { dataset, weight: 5000 },
        { dataset, weight: 0.000001 },
      ]),
      'mixture: the weights are as 5000000000 : 1, expected a sum of at most 4294967295',
    );
    assert.throws(() => new Mixture([{ dataset }]).draw(0.5), { message: 'mixture: position is 0.5, expected a whole number, 0 or more' });
  });
});

describe('EachOnce', () => {
  test('gives every sample of all data sets once, and then none', () =>
    fc.assert(
      fc.property(lengths, seeds, (sizes, seed) => {
        const each = new EachOnce(
          sizes.map((size) => setOf(size)),
          seed,
        );
        const drawn = range(each.length).map((position) => each.draw(position));
        const all = sizes.flatMap((size, part) => range(size).map((index) => `${part}:${index}`));
        assert.deepEqual(drawn.map((one) => `${one?.part}:${one?.index}`).sort(), all.sort());
        assert.equal(each.draw(each.length), undefined);
        assert.equal(each.replacement(), undefined);
      }),
      few,
    ));

  test('refuses nothing at all', () =>
    assert.throws(() => new EachOnce([setOf(0, 'none')]), new ArgumentError('each once: none have 0 samples, expected 1 to 4294967295')));
});
