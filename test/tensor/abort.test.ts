import { strict as assert } from 'node:assert';
import { test } from '@jest/globals';
import { AbortedError, abortable, swiglu, synchronize, type Tensor, tensor } from '../../lib';
import { ambient } from '../../lib/tensor/ambient';
import { randn } from '../support/data';

const chain = (steps: number) => {
  const start = randn([1 << 20], 1);
  let x = start;
  for (let i = 0; i < steps; i++) x = swiglu(x, start);
  return x;
};

test('ops under a signal that fires are skipped, and their readers told', async () => {
  const controller = new AbortController();
  const result = abortable(controller.signal, () => chain(500));
  setTimeout(() => controller.abort(), 5);
  await assert.rejects(result.read(), (error) => error instanceof AbortedError && /^swiglu: aborted before it ran$/.test(error.message));
  await synchronize();
});

test('other work on the same stream goes on', async () => {
  const controller = new AbortController();
  abortable(controller.signal, () => chain(100));
  const other = swiglu(tensor([1]), tensor([2]));
  controller.abort();
  assert.ok(Math.abs((await other.item()) - 2 / (1 + Math.exp(-1))) < 1e-6);
  await synchronize();
});

test('a signal that has fired refuses at once', () => {
  assert.throws(() => abortable(AbortSignal.abort(), () => chain(1)), { name: 'AbortedError', message: 'aborted before it began' });
});

test('the native token of a signal is no tensor', () => {
  const token = abortable(new AbortController().signal, () => ambient().token) as Tensor;
  assert.throws(() => swiglu(token, token), { name: 'ArgumentError', message: 'swiglu: gate is an external, expected a tensor' });
});
