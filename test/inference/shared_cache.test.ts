/** Values that several requests share: made once, given up when nobody waits, kept while there is room. */
import { strict as assert } from 'node:assert';
import { describe, test } from '@jest/globals';
import { type Made, SharedCache } from '../../lib/inference/shared_cache';

class Value implements Disposable {
  isDisposed = false;
  [Symbol.dispose]() {
    this.isDisposed = true;
  }
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

/** Makes values that are settled when they are told to be. */
function maker(bytes = 10) {
  const made: Value[] = [];
  const signals: AbortSignal[] = [];
  let settle = () => {};
  let fail = (_: unknown) => {};
  const make = async (signal: AbortSignal): Promise<Made<Value>> => {
    const value = new Value();
    made.push(value);
    signals.push(signal);
    await turn();
    const settled = new Promise<void>((resolve, reject) => {
      [settle, fail] = [resolve, reject];
    });
    return { value, bytes, settled };
  };
  return { make, made, signals, settle: () => settle(), fail: (error: unknown) => fail(error) };
}

describe('SharedCache', () => {
  test('makes a value once, for all who ask while it is made and afterwards', async () => {
    const cache = new SharedCache(100);
    const { make, made, settle } = maker();
    const [a, b] = await Promise.all([cache.acquire('x', make), cache.acquire('x', make)]);
    assert.deepEqual([a.cached, b.cached, made.length], [false, true, 1]);
    settle();
    await turn();
    a[Symbol.dispose]();
    b[Symbol.dispose]();
    const c = await cache.acquire('x', make);
    assert.deepEqual([c.value === made[0], c.cached, cache.bytes], [true, true, 10]);
    assert.equal(made[0]?.isDisposed, false);
    c[Symbol.dispose]();
  });

  test('keeps as much as there is room for, what was used last longest', async () => {
    const cache = new SharedCache(25);
    const kept = async (key: string) => {
      const { make, made, settle } = maker();
      const lease = await cache.acquire(key, make);
      settle();
      await turn();
      lease[Symbol.dispose]();
      return { lease, isNew: made.length > 0 };
    };
    for (const key of ['a', 'b', 'a', 'c']) await kept(key);
    assert.equal(cache.bytes, 20);
    assert.deepEqual([(await kept('a')).isNew, (await kept('c')).isNew, (await kept('b')).isNew], [false, false, true]);
  });

  test('does not free what is in use, and keeps nothing without room', async () => {
    const cache = new SharedCache(0);
    const { make, made, settle } = maker();
    const lease = await cache.acquire('x', make);
    settle();
    await turn();
    const other = await cache.acquire('x', make);
    lease[Symbol.dispose]();
    lease[Symbol.dispose](); // counts once
    assert.equal(made[0]?.isDisposed, false);
    other[Symbol.dispose]();
    assert.deepEqual([made[0]?.isDisposed, cache.bytes], [true, 0]);
  });

  test('gives up what nobody waits for any more', async () => {
    const cache = new SharedCache(100);
    const { make, made, signals } = maker();
    const [first, second] = [new AbortController(), new AbortController()];
    const asked = [cache.acquire('x', make, first.signal), cache.acquire('x', make, second.signal)];
    first.abort(new Error('enough'));
    await assert.rejects(asked[0]!, { name: 'AbortedError', message: 'the request was aborted', cause: first.signal.reason });
    assert.equal(signals[0]?.aborted, false, 'another one waits');
    second.abort();
    await assert.rejects(asked[1]!, { name: 'AbortedError' });
    assert.equal(signals[0]?.aborted, true);
    await turn();
    await turn();
    assert.equal(made[0]?.isDisposed, true);
    const again = await cache.acquire('x', make);
    assert.deepEqual([again.cached, made.length], [false, 2]);
    again[Symbol.dispose](); // before it is settled
    assert.deepEqual([signals[1]?.aborted, made[1]?.isDisposed, cache.bytes], [true, true, 0]);
  });

  test('forgets what could not be made, or computed', async () => {
    const cache = new SharedCache(100);
    const refuse = () => Promise.reject(new Error('no'));
    await assert.rejects(cache.acquire('x', refuse), { message: 'no' });
    const { make, made, fail } = maker();
    const lease = await cache.acquire('x', make);
    fail(new Error('out of memory'));
    await assert.rejects(lease.settled, { message: 'out of memory' });
    const other = await cache.acquire('x', make);
    assert.deepEqual([other.cached, made.length, made[0]?.isDisposed], [false, 2, false]);
    lease[Symbol.dispose]();
    assert.equal(made[0]?.isDisposed, true);
    other[Symbol.dispose]();
  });

  test('frees all at its end, and makes nothing afterwards', async () => {
    const cache = new SharedCache(100);
    const { make, made } = maker();
    const lease = await cache.acquire('x', make);
    cache[Symbol.dispose]();
    assert.equal(made[0]?.isDisposed, true);
    lease[Symbol.dispose]();
    await assert.rejects(cache.acquire('x', make), { name: 'DisposedError', message: 'the model was disposed' });
  });
});
