/** Long work on JavaScript's thread, in pieces between which timers, reads and other requests have their turn. */
const pieceMs = 0.5;

/**
 * Takes all steps of `work`, waiting for a turn of the event loop whenever half a millisecond is over.
 * @param check - throws when the work is to be given up.
 */
export async function breathe<Result>(work: Generator<void, Result>, check: () => void): Promise<Result> {
  let began = performance.now();
  try {
    for (;;) {
      const step = work.next();
      if (step.done) return step.value;
      if (performance.now() - began < pieceMs) continue;
      await new Promise<void>((resolve) => setImmediate(resolve));
      check();
      began = performance.now();
    }
  } finally {
    work.return(undefined as never); // frees what it holds, if it did not end
  }
}
