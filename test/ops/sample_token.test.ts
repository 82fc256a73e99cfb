import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { type SampleTokenOptions, sampleToken, type Tensor, tensor, tidy } from '../../lib';
import { randn, randnArray } from '../support/data';
import { onEveryDevice } from '../support/devices';
import { philox } from '../support/philox';

/** Probability of every token of a row in float64, as kernels/sample_token.h defines them. */
function probabilities(logits: ArrayLike<number>, options: SampleTokenOptions, previous: number[] = [], banned: number[] = []): number[] {
  const { temperature = 1, topK = 0, topP = 1, repetitionPenalty = 1 } = options;
  const scores = Array.from(logits, (logit, id) => {
    if (banned.includes(id)) return Number.NEGATIVE_INFINITY;
    if (!previous.includes(id)) return logit;
    return logit > 0 ? logit / repetitionPenalty : logit * repetitionPenalty;
  });
  const order = scores.map((_, id) => id).sort((a, b) => (scores[b] as number) - (scores[a] as number) || a - b);
  const largest = scores[order[0] as number] as number;
  const weights = scores.map((score) => Math.exp((score - largest) / temperature));
  const survivors = order.slice(0, topK || order.length);
  const total = survivors.reduce((sum, id) => sum + (weights[id] as number), 0);
  const kept = new Map<number, number>();
  let sum = 0;
  for (const id of survivors) {
    if (topP < 1 && sum >= topP * total && kept.size > 0) break;
    kept.set(id, weights[id] as number);
    sum += weights[id] as number;
  }
  return scores.map((_, id) => (kept.get(id) ?? 0) / sum);
}

/** Counts of each id over `draws` draws from one row of logits. */
async function histogram(logits: ArrayLike<number>, draws: number, options: SampleTokenOptions): Promise<number[]> {
  const vocab = logits.length;
  const counts = new Array<number>(vocab).fill(0);
  const rows = 500;
  const repeated = Float32Array.from({ length: rows * vocab }, (_, i) => logits[i % vocab] as number);
  for (let offset = 0; offset < draws / rows; offset++) {
    const ids = await tidy(() => sampleToken(tensor(repeated, [rows, vocab]), { ...options, offset }).read());
    for (const id of ids) counts[id]!++;
  }
  return counts;
}

const ids = async (tensor: Tensor) => [...(await tensor.read())];

onEveryDevice('sampleToken', () => {
  test('the oracle is Philox4x32-10: the known answers of its authors', () => {
    const hex = (words: number[]) => words.map((word) => word.toString(16).padStart(8, '0')).join(' ');
    const ones = 0xffffffff;
    assert.equal(hex(philox([0, 0, 0, 0], [0, 0])), '6627e8d5 e169c58d bc57ac4c 9b00dbd8');
    assert.equal(hex(philox([ones, ones, ones, ones], [ones, ones])), '408f276d 41c83b0e a20bc7c6 6d5451fd');
    assert.equal(
      hex(philox([0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344], [0xa4093822, 0x299f31d0])),
      'd16cfe09 94fdcceb 5001e420 24126ea1',
    );
  });

  test('draws by the inverse of the cumulative sum at 32 bits of Philox', async () => {
    const vocab = 4096; // equal logits: the id is the first 12 bits
    for (const [seed, offset] of [
      [0, 0],
      [7, 1],
      [2 ** 40 + 5, 2 ** 33 + 9],
    ] as const) {
      const drawn = await ids(sampleToken(tensor(new Float32Array(3 * vocab), [3, vocab]), { seed, offset }));
      const word = (value: number) => [value >>> 0, Math.floor(value / 2 ** 32)] as const;
      assert.deepEqual(
        drawn,
        [0, 1, 2].map((row) => philox([...word(offset), row, 0], word(seed))[0] >>> 20),
      );
    }
  });

  for (const [name, options] of Object.entries<SampleTokenOptions>({
    plain: {},
    'temperature 0.7': { temperature: 0.7 },
    'topK 5': { topK: 5 },
    'topP 0.8': { topP: 0.8 },
    'all of them': { temperature: 1.5, topK: 12, topP: 0.9, seed: 3 },
  }))
    test(`draws as often as the probabilities say: ${name}`, async () => {
      const logits = randnArray(37, 5).map((value) => 2 * value);
      const draws = 20_000;
      const wanted = probabilities(logits, options);
      const counts = await histogram(logits, draws, options);
      // Chi-square over the tokens expected at least 5 times: mean n, variance 2 n; 6 deviations are passed once in 1e7.
      let [square, tokens] = [0, 0];
      for (const [id, probability] of wanted.entries()) {
        if (probability === 0) assert.equal(counts[id], 0, `token ${id} was not to be drawn`);
        if (draws * probability < 5) continue;
        square += ((counts[id] as number) - draws * probability) ** 2 / (draws * probability);
        tokens++;
      }
      assert.ok(tokens > 2 && square < tokens + 6 * Math.sqrt(2 * tokens), `chi-square ${square} of ${tokens} tokens`);
    });

  test('topP looks beyond its first candidates when the distribution is flat', async () => {
    const logits = randnArray(5000, 2).map((value) => 0.01 * value);
    const allowed = probabilities(logits, { topP: 0.5 });
    const [row, rows] = [5000, 200];
    const repeated = Float32Array.from({ length: row * rows }, (_, i) => logits[i % row] as number);
    const drawn = await ids(sampleToken(tensor(repeated, [rows, row]), { topP: 0.5 }));
    // At the edge of the set float64 and f32 may differ by a token or two.
    assert.ok(drawn.filter((id) => allowed[id] === 0).length <= 1);
    assert.ok(new Set(drawn).size > 150);
  });

  test('temperature 0 and topK 1 take the largest, the first of equals', async () => {
    const logits = tensor([1, 5, 5, 2, -1, -3, -1, -2], [2, 4]);
    assert.deepEqual(await ids(sampleToken(logits, { temperature: 0 })), [1, 0]);
    assert.deepEqual(await ids(sampleToken(logits, { topK: 1, seed: 9 })), [1, 0]);
  });

  for (const dtype of ['f32', 'bf16', 'f16'] as const)
    test(`greedy agrees with float64 on ${dtype} [3, 4099]`, async () => {
      const logits = randn([3, 4099], 6, dtype);
      const values = await logits.read();
      const wanted = [0, 1, 2].map((row) => {
        const own = [...values.slice(row * 4099, (row + 1) * 4099)];
        return own.indexOf(Math.max(...own));
      });
      assert.deepEqual(await ids(sampleToken(logits, { temperature: 0 })), wanted);
      const tight = await ids(sampleToken(logits, { temperature: 1e-5 }));
      assert.equal(tight.length, 3);
    });

  test('repetition penalty lowers tokens that came before, once each, within their lengths', async () => {
    const logits = tensor([3, 2, 1, -1, -1.5, -2], [2, 3]);
    const previous = tensor([0, 0, 0, 0, 1, 2], [2, 3], 'i32');
    const greedy = (options: SampleTokenOptions) => ids(sampleToken(logits, { temperature: 0, ...options }));
    assert.deepEqual(await greedy({ previous, repetitionPenalty: 1.4 }), [0, 0]); // 3 / 1.4 > 2; 1.4 < 2.1 < 2.8
    assert.deepEqual(await greedy({ previous, repetitionPenalty: 1.6 }), [1, 0]);
    assert.deepEqual(await greedy({ previous, repetitionPenalty: 1.6, previousLengths: tensor([0, 1], [2], 'i32') }), [0, 1]);
  });

  test('banned tokens are never drawn', async () => {
    const bannedTokens = tensor([0, 1, 0, 255, 0], [5], 'u8');
    const counts = await histogram([0, 5, 0, 9, 0], 1000, { bannedTokens });
    assert.equal(counts[1]! + counts[3]!, 0);
    assert.ok(counts[0]! > 200 && counts[2]! > 200 && counts[4]! > 200);
    assert.deepEqual(await ids(sampleToken(tensor([0, 5, 1, 9, 0], [1, 5]), { bannedTokens, temperature: 0 })), [2]);
    assert.deepEqual(await ids(sampleToken(tensor([0, 5, 1, 9, 0], [1, 5]), { bannedTokens, topK: 4, topP: 0.1 })), [2]);
  });

  test('no rows give no ids', async () => assert.deepEqual(await ids(sampleToken(tensor([], [0, 3]))), []));

  test('what cannot be drawn from rejects the read', async () => {
    const rejects = (logits: Tensor, options: SampleTokenOptions, message: string) =>
      assert.rejects(sampleToken(logits, options).read(), { name: 'ArgumentError', message: `sampleToken: ${message}` });
    const low = Number.NEGATIVE_INFINITY;
    const expected = 'expected a finite one to draw';
    await rejects(tensor([1, 2, 3, Number.NaN], [2, 2]), {}, `the largest logit of row 1 that is not banned is NaN, ${expected}`);
    await rejects(
      tensor([1, Number.POSITIVE_INFINITY], [1, 2]),
      {},
      `the largest logit of row 0 that is not banned is Infinity, ${expected}`,
    );
    await rejects(tensor([low, low], [1, 2]), {}, `the largest logit of row 0 that is not banned is -Infinity, ${expected}`);
    const bannedTokens = tensor([1, 1], [2], 'u8');
    await rejects(tensor([1, 2], [1, 2]), { bannedTokens }, `the largest logit of row 0 that is not banned is -Infinity, ${expected}`);
    const previous = tensor([0, 2], [1, 2], 'i32');
    await rejects(tensor([1, 2], [1, 2]), { previous }, 'previous[0, 1] is 2, expected from 0 to below 2');
    const previousLengths = tensor([3], [1], 'i32');
    await rejects(tensor([1, 2], [1, 2]), { previous, previousLengths }, 'previousLengths[0] is 3, expected from 0 to 2');
  });

  test('names the argument that does not fit', () => {
    const throws = (options: SampleTokenOptions, name: string, message: string, logits: Tensor = randn([2, 3], 1)) =>
      assert.throws(() => sampleToken(logits, options), { name, message: `sampleToken: ${message}` });
    const i32 = (shape: number[]) => tensor(new Int32Array(shape.reduce((a, b) => a * b, 1)), shape);
    throws({}, 'DtypeError', 'logits is i32, expected f32, bf16 or f16', i32([2, 3]));
    throws({}, 'ShapeError', 'logits is [3], expected [batch, vocab]', randn([3], 1));
    throws({}, 'ArgumentError', 'the last size of logits is 0, expected from 1 to 2147483647', randn([2, 0], 1));
    throws({ previous: randn([2, 1], 1) }, 'DtypeError', 'previous is f32, expected i32');
    throws({ previous: i32([2]) }, 'ShapeError', 'previous is [2], expected [batch, n]');
    throws({ previous: i32([3, 1]) }, 'ShapeError', 'previous is [3, 1], expected 2 along axis 0, the batch of logits');
    throws({ previousLengths: i32([2]) }, 'ArgumentError', 'previousLengths is given, expected previous beside it');
    throws({ previous: i32([2, 1]), previousLengths: randn([2], 1) }, 'DtypeError', 'previousLengths is f32, expected i32');
    throws({ previous: i32([2, 1]), previousLengths: i32([1]) }, 'ShapeError', 'previousLengths is [1], expected [2], the batch of logits');
    throws({ bannedTokens: i32([3]) }, 'DtypeError', 'bannedTokens is i32, expected u8');
    throws({ bannedTokens: tensor([0], [1], 'u8') }, 'ShapeError', 'bannedTokens is [1], expected [3], the vocab of logits');
    throws({ temperature: -1 }, 'ArgumentError', 'temperature is -1.000000, expected 0, or from 1e-5 to 1e5');
    throws({ topK: -1 }, 'ArgumentError', 'topK is -1, expected at least 0, which keeps all');
    throws({ topP: 0 }, 'ArgumentError', 'topP is 0.000000, expected above 0 and at most 1');
    throws({ repetitionPenalty: 0 }, 'ArgumentError', 'repetitionPenalty is 0, expected a finite number above 0');
    throws({ seed: -1 }, 'ArgumentError', 'seed is -1, expected at least 0');
    throws({ offset: -1 }, 'ArgumentError', 'offset is -1, expected at least 0');
  });
});
