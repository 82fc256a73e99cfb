/**
 * Byte-pair encoding as sentencepiece does it: of all neighbours whose union is a piece, the union of highest score is made, the
 * leftmost of equals, until none is left. Sennrich et al. 2016, arXiv 1508.07909; Kudo and Richardson 2018, arXiv 1808.06226.
 * A heap of proposals makes it n log n in the length of the text.
 */

/** Room for this many characters is kept between calls, more is given back. */
const keptRoom = 4096;

export class PairMerger {
  // One symbol a character, as a chain. A symbol swallowed by its left neighbour has length 0.
  private start = new Int32Array(0);
  private length = new Int32Array(0);
  private previous = new Int32Array(0);
  private next = new Int32Array(0);
  private id = new Int32Array(0);
  // Proposals. One is stale when the lengths of its two no longer sum to `pairLength`.
  private pairLeft = new Int32Array(0);
  private pairRight = new Int32Array(0);
  private pairLength = new Int32Array(0);
  private pairId = new Int32Array(0);
  private pairs = 0;
  private heap = new Int32Array(0);
  private heapSize = 0;

  /**
   * @param ids - Of pieces that text can give.
   * @param scores - By id.
   * @param longest - Length of the longest piece, in UTF-16 units.
   */
  constructor(
    private readonly ids: ReadonlyMap<string, number>,
    private readonly scores: Float32Array,
    private readonly longest: number,
  ) {}

  /** Calls `emit` for each symbol that is left, in order; `id` is -1 for a character that is no piece. */
  merge(text: string, emit: (begin: number, end: number, id: number) => void): void {
    this.reserve(text.length);
    const { start, length, previous, next, id } = this;
    const count = this.split(text);
    for (let right = 1; right < count; right++) this.propose(text, right - 1, right);
    while (this.heapSize > 0) {
      const pair = this.pop();
      const left = this.pairLeft[pair] as number;
      const right = this.pairRight[pair] as number;
      const leftLength = length[left] as number;
      const rightLength = length[right] as number;
      if (leftLength === 0 || rightLength === 0 || leftLength + rightLength !== this.pairLength[pair]) continue;
      const after = next[right] as number;
      length[left] = leftLength + rightLength;
      length[right] = 0;
      id[left] = this.pairId[pair] as number;
      next[left] = after;
      if (after >= 0) previous[after] = left;
      this.propose(text, previous[left] as number, left);
      this.propose(text, left, after);
    }
    for (let symbol = 0; symbol >= 0 && symbol < count; symbol = next[symbol] as number) {
      const begin = start[symbol] as number;
      emit(begin, begin + (length[symbol] as number), id[symbol] as number);
    }
    if (text.length > keptRoom) this.release();
  }

  private split(text: string): number {
    let count = 0;
    for (let at = 0; at < text.length; count++) {
      const units = (text.codePointAt(at) as number) > 0xffff ? 2 : 1;
      this.start[count] = at;
      this.length[count] = units;
      this.previous[count] = count - 1;
      this.next[count] = count + 1;
      this.id[count] = this.ids.get(text.slice(at, at + units)) ?? -1;
      at += units;
    }
    if (count > 0) this.next[count - 1] = -1;
    return count;
  }

  private propose(text: string, left: number, right: number): void {
    if (left < 0 || right < 0) return;
    const begin = this.start[left] as number;
    const length = (this.length[left] as number) + (this.length[right] as number);
    if (length > this.longest) return;
    const id = this.ids.get(text.slice(begin, begin + length));
    if (id === undefined) return;
    const pair = this.pairs++;
    this.pairLeft[pair] = left;
    this.pairRight[pair] = right;
    this.pairLength[pair] = length;
    this.pairId[pair] = id;
    this.push(pair);
  }

  /** Higher score first, then the leftmost. */
  private before(a: number, b: number): boolean {
    const difference = (this.scores[this.pairId[a] as number] as number) - (this.scores[this.pairId[b] as number] as number);
    return difference > 0 || (difference === 0 && (this.pairLeft[a] as number) < (this.pairLeft[b] as number));
  }

  private push(pair: number): void {
    const { heap } = this;
    let at = this.heapSize++;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.before(pair, heap[parent] as number)) break;
      heap[at] = heap[parent] as number;
      at = parent;
    }
    heap[at] = pair;
  }

  private pop(): number {
    const { heap } = this;
    const top = heap[0] as number;
    const last = heap[--this.heapSize] as number;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= this.heapSize) break;
      if (child + 1 < this.heapSize && this.before(heap[child + 1] as number, heap[child] as number)) child++;
      if (!this.before(heap[child] as number, last)) break;
      heap[at] = heap[child] as number;
      at = child;
    }
    heap[at] = last;
    return top;
  }

  private reserve(characters: number): void {
    this.pairs = 0;
    this.heapSize = 0;
    if (this.start.length < characters) this.allocate(Math.max(64, 2 ** Math.ceil(Math.log2(characters))));
  }

  private release(): void {
    this.allocate(0);
  }

  /** Each of fewer than n merges makes two proposals, beside the n - 1 of the beginning. */
  private allocate(characters: number): void {
    for (const field of ['start', 'length', 'previous', 'next', 'id'] as const) this[field] = new Int32Array(characters);
    for (const field of ['pairLeft', 'pairRight', 'pairLength', 'pairId', 'heap'] as const) this[field] = new Int32Array(3 * characters);
  }
}
