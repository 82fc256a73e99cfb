import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { synchronize } from '../../lib';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

/** Collects what earlier tests left, finalizers included, so that a count of memory starts from what is really held. */
export async function collectGarbage(): Promise<void> {
  for (let round = 0; round < 3; round++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
  await synchronize();
}
