import { strict as assert } from 'node:assert';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { describe, test } from '@jest/globals';
import { abortable, DisposedError, Scope, setDebug, swiglu, synchronize, tensor, tidy, zeros } from '../../lib';

describe('Scope', () => {
  test('frees at its end what was made in it', () => {
    let inside = tensor([1]);
    {
      using scope = Scope.open();
      inside = tensor([1, 2]);
      assert.equal(scope.size, 1);
      assert.equal(inside.disposed, false);
    }
    assert.equal(inside.disposed, true);
  });

  test('keep hands a tensor to the scope around', () => {
    using outer = Scope.open();
    let kept = tensor([0]);
    {
      using inner = Scope.open();
      kept = inner.keep(tensor([3]));
    }
    assert.equal(kept.disposed, false);
    assert.equal(outer.size, 2);
  });

  test('a tensor may be disposed before its scope ends, twice', () => {
    using scope = Scope.open();
    const one = tensor([1]);
    one.dispose();
    one.dispose();
    assert.equal(scope.size, 0);
  });

  test('a disposed tensor stays so when its native handle serves the next one', async () => {
    const first = tensor([1]);
    first.dispose();
    const next = tensor([2, 3]);
    assert.equal(first.disposed, true);
    assert.deepEqual(first.shape, [1]);
    assert.throws(() => swiglu(first, next), { name: 'DisposedError' });
    first.dispose();
    assert.equal(next.disposed, false);
    assert.deepEqual(Array.from(await next.read()), [2, 3]);
    next.dispose();
  });

  test('a tensor used after its scope throws, and says in debug mode where it was made', () => {
    const made = (debug: boolean) => {
      setDebug(debug);
      try {
        using _scope = Scope.open();
        return tensor([1]);
      } finally {
        setDebug(false);
      }
    };
    const plain = made(false);
    assert.throws(() => swiglu(plain, plain), { name: 'DisposedError', message: 'swiglu: gate was disposed, expected a live tensor' });
    const traced = made(true);
    assert.throws(
      () => swiglu(traced, traced),
      (error) => error instanceof DisposedError && /it was made\s+at/.test(error.message) && error.message.includes('scope.test.ts'),
    );
  });
});

describe('the garbage collector', () => {
  /** How often it looks at the whole heap while `make` makes 100 tensors of 64 MiB, which no op fills. */
  const collections = async (make: () => unknown) => {
    let count = 0;
    const whole: unknown[] = [constants.NODE_PERFORMANCE_GC_MAJOR, constants.NODE_PERFORMANCE_GC_INCREMENTAL];
    const observer = new PerformanceObserver((list) => {
      for (const { detail } of list.getEntries() as unknown as { detail: { kind: number } }[]) if (whole.includes(detail.kind)) count++;
    });
    observer.observe({ entryTypes: ['gc'] });
    const giveUp = new AbortController();
    abortable(giveUp.signal, () => {
      giveUp.abort();
      for (let i = 0; i < 100; i++) make();
    });
    await new Promise((resolve) => setTimeout(resolve, 10));
    observer.disconnect();
    return count;
  };
  const large = () => zeros([1 << 24]);

  test('is told of tensors that no scope owns, and so finds those that nobody holds', async () => {
    assert.ok((await collections(large)) > 2);
    assert.ok((await collections(() => tidy(large))) > 2);
  });

  test('is left alone by those of a scope, which frees them', async () => {
    const none = [
      () => tidy(() => void large()),
      () => tidy(() => tidy(large).dispose()),
      () => tidy(() => Scope.disown(large())).dispose(),
    ];
    for (const make of none) assert.ok((await collections(make)) < 3);
  });
});

describe('tidy', () => {
  test('frees all but what it returns, however deep', () => {
    using outer = Scope.open();
    let lost = tensor([0]);
    const { pair } = tidy(() => {
      lost = tensor([1]);
      return { pair: [tensor([2]), tensor([3])] };
    });
    assert.equal(lost.disposed, true);
    assert.deepEqual(
      pair.map((one) => one.disposed),
      [false, false],
    );
    assert.equal(outer.size, 3);
  });

  test('keeps concurrent async bodies apart', async () => {
    const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
    const request = (ms: number) =>
      tidy(async () => {
        const before = tensor([ms]);
        await pause(ms);
        const after = swiglu(before, before);
        await pause(1);
        assert.equal(before.disposed, false);
        return [after, before] as const;
      });
    const results = await Promise.all([request(15), request(1), request(8)]);
    for (const [after] of results) assert.equal(after.disposed, false);
    for (const pair of results) for (const one of pair) one.dispose();
  });

  test('frees when its body throws', async () => {
    let lost = tensor([0]);
    assert.throws(() =>
      tidy(() => {
        lost = tensor([1]);
        throw new Error('no');
      }),
    );
    assert.equal(lost.disposed, true);
    await assert.rejects(
      tidy(async () => {
        lost = tensor([1]);
        await synchronize();
        throw new Error('no');
      }),
    );
    assert.equal(lost.disposed, true);
  });
});
