/** Waiting for a signal that may fire. */
import { setMaxListeners } from 'node:events';
import { AbortedError } from './errors';

/**
 * Calls `stop` when `signal` fires, at once if it has. Any number may wait for one signal, of which Node would warn from the eleventh on.
 * @returns what forgets it.
 */
export function onAbort(signal: AbortSignal | undefined, stop: () => void): () => void {
  if (signal?.aborted) stop();
  if (!signal || signal.aborted) return () => undefined;
  setMaxListeners(0, signal);
  signal.addEventListener('abort', stop, { once: true });
  return () => signal.removeEventListener('abort', stop);
}

/** `work`, but no longer than until `signal` fires. @throws AbortedError that says `message` then. */
export async function orAborted<Value>(work: Promise<Value>, signal: AbortSignal | undefined, message: string): Promise<Value> {
  if (!signal) return work;
  let forget = () => {};
  const aborted = new Promise<never>((_, reject) => {
    forget = onAbort(signal, () => reject(new AbortedError(message, { cause: signal.reason })));
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    forget();
  }
}
