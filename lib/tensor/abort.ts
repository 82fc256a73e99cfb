/** Giving up enqueued work: ops called under `abortable` are skipped once its signal fires, between one op and the next. */
import { onAbort } from '../abort';
import { AbortedError } from '../errors';
import { native } from '../native';
import { withAmbient } from './ambient';

const tokens = new WeakMap<AbortSignal, unknown>();

/**
 * Runs `body`; every op it calls is skipped once `signal` has fired, and reading what such an op should have made rejects
 * with an AbortedError. Tensors that an op would have changed in place are left as they were.
 * @throws AbortedError at once when the signal has fired before.
 */
export function abortable<Result>(signal: AbortSignal, body: () => Result): Result {
  if (signal.aborted) throw new AbortedError('aborted before it began', { cause: signal.reason });
  let token = tokens.get(signal);
  if (token === undefined) {
    token = native.cancelToken();
    tokens.set(signal, token);
    onAbort(signal, () => native.cancel(token));
  }
  return withAmbient({ token }, body);
}
