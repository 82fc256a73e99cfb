/** Between masks in tensors and masks as COCO's strings. */
import { ArgumentError } from '../errors';
import { compressRuns, expandRuns, type Rle } from '../image/rle';
import { rleDecode } from '../ops/rle_decode';
import { rleEncode } from '../ops/rle_encode';
import { tensor, upload } from '../tensor/create';
import type { Tensor } from '../tensor/tensor';

const MASKS_A_TURN = 4; // strings made or read before other JavaScript may run: under a millisecond's worth

/**
 * COCO strings of masks.
 * @param masks - `[n, height, width]`, u8, set where not 0; or bits, rows of `bitWidth` pixels.
 */
export async function encodeMasks(masks: Tensor, bitWidth?: number): Promise<Rle[]> {
  // Masks of things seldom have more than two runs a column; those that do are encoded again, with room for what they have.
  const width = bitWidth || (masks?.shape?.[2] ?? 0);
  let { runs, counts, maxRuns } = await encodeWithin(masks, 4 * width + 64, bitWidth);
  const most = counts.reduce((a, b) => Math.max(a, b), 0);
  if (most > maxRuns) ({ runs, counts, maxRuns } = await encodeWithin(masks, most, bitWidth));
  const size = [masks.shape[1] as number, width] as const;
  return inTurns([...counts], (count, i) => ({ size, counts: compressRuns(runs.subarray(i * maxRuns, i * maxRuns + count)) }));
}

async function inTurns<From, To>(items: readonly From[], convert: (item: From, index: number) => To): Promise<To[]> {
  const results: To[] = [];
  for (const [i, item] of items.entries()) {
    if (i % MASKS_A_TURN === MASKS_A_TURN - 1) await new Promise(setImmediate);
    results.push(convert(item, i));
  }
  return results;
}

async function encodeWithin(masks: Tensor, maxRuns: number, bitWidth?: number) {
  const encoded = rleEncode(masks, { maxRuns, bitWidth });
  const [runs, counts] = (await Promise.all([encoded.runs.read(), encoded.counts.read()])) as [Int32Array, Int32Array];
  encoded.runs.dispose();
  encoded.counts.dispose();
  return { runs, counts, maxRuns };
}

/**
 * Masks of COCO strings, all of one size.
 * @param bits - true: masks as bits, the layout of {@link packBits}.
 * @returns `[n, height, width]`, u8, 0 or 1; or bits.
 * @throws ArgumentError for no masks, other sizes, or malformed strings.
 */
export async function decodeMasks(rles: readonly Rle[], bits = false): Promise<Tensor> {
  const size = Array.isArray(rles) ? (rles[0] as Rle | undefined)?.size : undefined;
  if (!size) throw new ArgumentError('decodeMasks: rles is empty, expected at least one mask');
  const all = await inTurns(rles, expandRuns);
  const [height, width] = size;
  const other = rles.find((rle) => rle.size[0] !== height || rle.size[1] !== width);
  if (other)
    throw new ArgumentError(`decodeMasks: a mask is [${other.size.join(', ')}], expected [${size.join(', ')}], the size of the first`);
  const total = all.reduce((sum, runs) => sum + runs.length, 0);
  const joined = new Int32Array(total);
  let at = 0;
  for (const runs of all) {
    joined.set(runs, at);
    at += runs.length;
  }
  const [runs, counts] = [await upload(joined, [total]), tensor(Int32Array.from(all, ({ length }) => length))];
  const masks = rleDecode(runs, counts, { height, width, bits });
  runs.dispose();
  counts.dispose();
  return masks;
}
