/**
 * All that a run needs to go on to the same bits, on the disk: parameters that are trained, moments, counters. A snapshot is a
 * folder that is there whole or not at all, and says by hashes whether it still is what was written.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { TrainingError } from '../errors';
import { copyInto } from '../ops/copy_into';
import { toDevice } from '../ops/to_device';
import { synchronize } from '../tensor/create';
import { tidy } from '../tensor/scope';
import type { Tensor } from '../tensor/tensor';
import { writeNewFolder } from '../weights/new_folder';
import { openCheckpoint } from '../weights/open_checkpoint';
import { computedToWrite } from '../weights/stored_pieces';
import { writeCheckpoint, writeHashed } from '../weights/write_checkpoint';
import type { Trainer } from './trainer';

const aboutFile = 'snapshot.json';
const folderName = /^step-(\d{8})$/;
const partialName = /^\.step-\d{8}-partial-/;

const count = z.int().nonnegative();
const stateSchema = z.object({
  format: z.literal(1),
  /** Steps done; the samples of the next are those of batches from `step * accumulation` on. */
  step: count,
  counts: z.object({
    samples: count,
    tokens: count,
    masks: count,
    badSamples: count,
    surplusTargets: count,
    truncated: count,
    skippedSteps: count,
  }),
  /** Of each trained parameter, the updates it has had. */
  updates: z.record(z.string(), count),
  /** Best value of the metric so far, the step of its snapshot, and what it is a value of: another metric's is not compared with it. */
  best: z.object({ step: count, value: z.number(), of: z.unknown().optional() }).nullable(),
  /** The configuration of the run, as it is compared when it goes on. */
  config: z.unknown(),
  /** Folder of the run, when it was written. */
  output: z.string().optional(),
  /** Samples of each data set. */
  dataLengths: z.array(count).optional(),
  weights: z.object({ name: z.string(), bytes: count, sha256: z.string() }),
});
const aboutSchema = z.object({ sha256: z.string(), state: z.unknown() });

export type SnapshotState = z.infer<typeof stateSchema>;

export interface KeepOptions {
  /** Newest snapshots that are kept; at least 2, so that one is left when the newest is damaged. */
  readonly last: number;
  /** Step of a snapshot that is kept besides. */
  readonly best?: number;
}

const nameOf = (step: number): string => `step-${String(step).padStart(8, '0')}`;
export const snapshotPath = (folder: string, step: number): string => join(folder, nameOf(step));
const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Names and tensors of a trainer's state. */
function* tensorsOf({ optimizer }: Trainer): Generator<[string, Tensor]> {
  for (const [name, parameter] of optimizer.parameters) {
    yield [`parameters.${name}`, parameter];
    const state = optimizer.state.get(name);
    if (!state) continue;
    yield [`exp_avg.${name}`, state.expAvg];
    yield [`exp_avg_sq.${name}`, state.expAvgSq];
    if (state.master) yield [`masters.${name}`, state.master];
  }
}

/**
 * Writes the state of `trainer` between two steps; nothing of it may be changed before the promise resolves.
 * @param folder - of the run's snapshots.
 * @returns the path of the snapshot.
 */
export async function saveSnapshot(
  folder: string,
  trainer: Trainer,
  { best = null, ...about }: Pick<SnapshotState, 'config' | 'output' | 'dataLengths'> & { best?: SnapshotState['best'] },
): Promise<string> {
  const { step, counts } = trainer.state;
  await mkdir(folder, { recursive: true });
  const path = snapshotPath(folder, step);
  await rm(path, { recursive: true, force: true });
  const tensors = Array.from(tensorsOf(trainer), ([name, tensor]) =>
    computedToWrite(name, tensor.shape, tensor.dtype, () => Promise.resolve(tensor)),
  );
  const bytes = tensors.reduce((sum, one) => sum + one.bytes, 0);
  await writeNewFolder(path, bytes, async (partial) => {
    const [weights] = await writeCheckpoint(partial, tensors, { shardBytes: Number.POSITIVE_INFINITY });
    const updates = Object.fromEntries(Array.from(trainer.optimizer.state, ([name, state]) => [name, state.step]));
    await writeState(partial, { format: 1, step, counts, updates, best, ...about, weights } as SnapshotState);
    await flush(partial);
  });
  await flush(folder);
  return path;
}

/** Writes down in a snapshot what an evaluation of it said: it is written before. */
export async function noteBest(path: string, best: SnapshotState['best']): Promise<void> {
  const state = await readState(path);
  await writeState(path, { ...state, best }, `${aboutFile}.partial`);
  await rename(join(path, `${aboutFile}.partial`), join(path, aboutFile));
  await flush(path);
}

async function writeState(folder: string, state: SnapshotState, name = aboutFile): Promise<void> {
  await writeHashed(folder, name, JSON.stringify({ sha256: hashOf(JSON.stringify(state)), state }));
  await flush(join(folder, name));
}

/** Until this is done, a name or its contents may be lost with the power. */
async function flush(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** Steps that have a snapshot, the newest first; whether it is whole is not looked at. */
export async function snapshotSteps(folder: string): Promise<number[]> {
  const names = await readdir(folder).catch(() => [] as string[]);
  return names.flatMap((name) => (folderName.test(name) ? [Number(name.slice(5))] : [])).sort((a, b) => b - a);
}

/** Gives what there is above `step` other names: it is damaged where a run goes on from that, and would be kept for the newest. */
export async function setAside(folder: string, step: number): Promise<void> {
  for (const one of (await snapshotSteps(folder)).filter((other) => other > step)) {
    const aside = join(folder, `damaged-${nameOf(one)}`);
    await rm(aside, { recursive: true, force: true });
    await rename(snapshotPath(folder, one), aside);
  }
}

/** Removes snapshots that need not be kept, and what a run that was killed left of one. */
export async function pruneSnapshots(folder: string, { last, best }: KeepOptions): Promise<void> {
  const kept = new Set((await snapshotSteps(folder)).slice(0, Math.max(2, last)));
  for (const name of await readdir(folder).catch(() => [] as string[])) {
    const isOld = folderName.test(name) && !kept.has(Number(name.slice(5))) && Number(name.slice(5)) !== best;
    if (isOld || partialName.test(name)) await rm(join(folder, name), { recursive: true, force: true });
  }
}

const refuser =
  (path: string) =>
  (file: string, why: string, cause?: unknown): never => {
    throw new TrainingError(`${join(path, file)} ${why}`, { cause });
  };

/**
 * What a snapshot says of itself.
 * @throws TrainingError, naming the file, unless it and its weights are what was written.
 */
export async function verifySnapshot(path: string): Promise<SnapshotState> {
  const state = await readState(path);
  const refuse = refuser(path);
  const { name, bytes, sha256 } = state.weights;
  const got = await hashFile(join(path, name)).catch((cause: unknown) => refuse(name, 'cannot be read', cause));
  if (got.bytes !== bytes) refuse(name, `has ${got.bytes} bytes, expected ${bytes}: it is cut off`);
  if (got.sha256 !== sha256) refuse(name, 'is not what was written: its hash is another');
  return state;
}

async function readState(path: string): Promise<SnapshotState> {
  const refuse = refuser(path);
  const text = await readFile(join(path, aboutFile), 'utf8').catch((cause: unknown) => refuse(aboutFile, 'cannot be read', cause));
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    refuse(aboutFile, 'is cut off or changed: it is not JSON', cause);
  }
  const about = aboutSchema.safeParse(json);
  if (!about.success) return refuse(aboutFile, 'is of another kind: it has no sha256 and state');
  if (hashOf(JSON.stringify(about.data.state)) !== about.data.sha256) refuse(aboutFile, 'is not what was written: its hash is another');
  const state = stateSchema.safeParse(about.data.state);
  if (!state.success)
    return refuse(
      aboutFile,
      `is of another version: ${state.error.issues.map(({ path: at, message }) => `${at.join('.')}: ${message}`).join('; ')}`,
    );
  return state.data;
}

/** What the newest snapshot says of itself that says anything, whether or not its weights are whole. */
export async function newestState(folder: string): Promise<SnapshotState | undefined> {
  for (const step of await snapshotSteps(folder)) {
    const state = await readState(snapshotPath(folder, step)).catch(() => undefined);
    if (state) return state;
  }
  return undefined;
}

async function hashFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const handle = await open(path);
  try {
    const [hash, buffer] = [createHash('sha256'), Buffer.alloc(512 * 1024)];
    let bytes = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, 0, buffer.length, bytes);
      if (bytesRead === 0) return { bytes, sha256: hash.digest('hex') };
      hash.update(buffer.subarray(0, bytesRead));
      bytes += bytesRead;
    }
  } finally {
    await handle.close();
  }
}

/** The newest snapshot that is whole. */
export interface FoundSnapshot {
  readonly path: string;
  readonly state: SnapshotState;
  /** Newer ones that are not, and why. */
  readonly damaged: readonly TrainingError[];
}

/** @returns undefined when there is no snapshot. @throws TrainingError when there are some and none is whole. */
export async function findSnapshot(folder: string): Promise<FoundSnapshot | undefined> {
  const damaged: TrainingError[] = [];
  for (const step of await snapshotSteps(folder)) {
    const path = snapshotPath(folder, step);
    try {
      return { path, state: await verifySnapshot(path), damaged };
    } catch (error) {
      if (!(error instanceof TrainingError)) throw error;
      damaged.push(error);
    }
  }
  const [first] = damaged;
  if (first) throw new TrainingError(`${folder} has ${damaged.length} snapshots and none is whole: ${first.message}`, { cause: first });
  return undefined;
}

/**
 * Puts a snapshot's state into `trainer`, which must train the same parameters.
 * @throws TrainingError when it does not; nothing was changed then.
 */
export async function restoreSnapshot({ path, state }: Pick<FoundSnapshot, 'path' | 'state'>, trainer: Trainer): Promise<void> {
  const checkpoint = await openCheckpoint(join(path, state.weights.name));
  const wanted = new Map(tensorsOf(trainer));
  const other = [...wanted.keys()].find((name) => !checkpoint.has(name)) ?? checkpoint.names.find((name) => !wanted.has(name));
  if (other) {
    const where = wanted.has(other) ? 'which the snapshot does not have' : 'which this run does not train';
    throw new TrainingError(`${path} is of another run: there is ${other}, ${where}`);
  }
  for (const [name, { shape, dtype }] of wanted) {
    const stored = checkpoint.get(name);
    if (stored.dtype !== dtype || stored.shape.join() !== shape.join())
      throw new TrainingError(`${path}: ${name} is ${stored.dtype} [${stored.shape.join(', ')}], expected ${dtype} [${shape.join(', ')}]`);
  }
  for (const [name, tensor] of wanted) {
    await tidy(async () => {
      const { requiresGrad } = tensor;
      tensor.requiresGrad = false;
      try {
        copyInto(toDevice(await checkpoint.load(name), tensor.device), tensor);
      } finally {
        tensor.requiresGrad = requiresGrad;
      }
    });
  }
  await synchronize();
  for (const [name, one] of trainer.optimizer.state) one.step = state.updates[name] ?? 0;
  trainer.state.step = state.step;
  Object.assign(trainer.state.counts, state.counts);
}
