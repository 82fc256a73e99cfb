/** Prints the digest of batch after batch, for test/data/loader.test.ts to kill: arguments are a file and the first batch. */
import { JsonlDataset } from '../../lib/data/jsonl';
import { Loader } from '../../lib/data/loader';
import { Mixture } from '../../lib/data/mixture';
import { digestOf } from '../support/samples';

async function main(): Promise<void> {
  const [path, first] = process.argv.slice(2);
  const loader = new Loader({
    mixture: new Mixture([{ dataset: await JsonlDataset.open(path as string) }], 5),
    batchSize: 2,
    workers: 1,
    onBadSample: 'skip',
  });
  for (let index = Number(first); ; index++) {
    process.stdout.write(`${digestOf(await loader.batch(index))}\n`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

void main();
