import { strict as assert } from 'node:assert';
import { setTimeout as pause } from 'node:timers/promises';
import { test } from '@jest/globals';
import { onAbort, orAborted } from '../lib/abort';

test('any number may wait for one signal, without a warning, and can forget it', async () => {
  const warnings: Error[] = [];
  const warned = (warning: Error) => warnings.push(warning);
  process.on('warning', warned);
  try {
    const controller = new AbortController();
    const fired: number[] = [];
    const forget = Array.from({ length: 40 }, (_, i) => onAbort(controller.signal, () => fired.push(i)));
    forget[3]?.();
    assert.equal(fired.length, 0);
    controller.abort();
    assert.deepEqual(
      fired,
      [...forget.keys()].filter((i) => i !== 3),
    );
    onAbort(controller.signal, () => fired.push(-1));
    assert.equal(fired.at(-1), -1);
    await pause(5); // a warning comes with a later tick
    assert.deepEqual(warnings, []);
  } finally {
    process.off('warning', warned);
  }
});

test('work is waited for no longer than until its signal fires', async () => {
  assert.equal(await orAborted(Promise.resolve(3), undefined, 'given up'), 3);
  const controller = new AbortController();
  assert.equal(await orAborted(Promise.resolve(4), controller.signal, 'given up'), 4);
  const endless = orAborted(new Promise(() => undefined), controller.signal, 'given up');
  controller.abort('because');
  await assert.rejects(endless, { name: 'AbortedError', message: 'given up', cause: 'because' });
  await assert.rejects(orAborted(new Promise(() => undefined), controller.signal, 'given up'), {
    name: 'AbortedError',
    message: 'given up',
  });
});
