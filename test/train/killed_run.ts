/**
 * A run that test/train/run.test.ts kills: node --import tsx killed_run.ts DEVICE FOLDER STEPS [resume]. Says `step N` after each step and
 * `done HASH` of all parameters at the end.
 */
import { createHash } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { type Device, runTraining, setDefaultDevice, Trainer, warmupCosine } from '../../lib';
import { tinySample, tinySource, tinyTrainable } from '../support/tiny_training';

async function main([device = '', folder = '', steps = '', resume]: readonly string[]): Promise<void> {
  setDefaultDevice(device as Device);
  const tokenizer = join(folder, 'tokenizer');
  mkdirSync(tokenizer, { recursive: true });
  using opened = await tinyTrainable(tokenizer, { dtype: 'bf16' });
  const schedule = warmupCosine({ lr: 1e-2, warmupSteps: 3, totalSteps: Number(steps) });
  using trainer = new Trainer(opened.model, opened.speech, { schedule });
  const source = tinySource(Array.from({ length: 7 }, (_, i) => tinySample(i)));
  await runTraining({
    trainer,
    source,
    output: join(folder, 'run'),
    steps: Number(steps),
    accumulation: 1,
    snapshots: { every: 2, keepLast: 2 },
    resume: resume !== undefined,
    onEvent: (event) => {
      if (event.type === 'resumed') process.stdout.write(`resumed ${event.step}\n`);
      if (event.type === 'step') process.stdout.write(`step ${event.report.step}\n`);
    },
  });
  const hash = createHash('sha256');
  for (const [key, parameter] of opened.model.namedParameters()) {
    const { buffer, byteOffset, byteLength } = await parameter.readBits();
    hash.update(key).update(new Uint8Array(buffer, byteOffset, byteLength));
  }
  process.stdout.write(`done ${hash.digest('hex')}\n`);
}

void main(process.argv.slice(2));
