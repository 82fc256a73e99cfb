/**
 * Times a case of ours beside the same case of a peer, in one run: blocks of both sides alternate, so what disturbs the
 * machine disturbs both. bench/README.md says how a case file looks.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { copyInto, memory, resetPeak, synchronize, tidy, trimMemory, zeros } from '../lib';
import { type Limits, ReadProbe } from './limits';
import { type Summary, summary } from './statistics';
import type { Taken, TorchPeer } from './torch_peer';

/** Enqueues one run of the case, or runs it and resolves; what it makes is freed for it. */
export type Run = () => void | Promise<void>;

/** A run, and a shorter one whose time is taken off: of an answer, what comes before the tokens that count. */
export type RunBeyond = readonly [run: Run, less: Run];

/** Python: `setup` once, `run` as the body of the timed loop. `torch` and `F` (torch.nn.functional) are imported. */
export interface TorchSide {
  setup: string;
  run: string;
  /** Where ours is a {@link RunBeyond}: its second run. */
  less?: string;
  /** An expression: the context manager that the loop runs in, entered before the clock starts. */
  within?: string;
}

export interface Sides {
  /** Makes the inputs, gives the function that enqueues one run. */
  ours: () => Promise<Run | RunBeyond> | Run | RunBeyond;
  torch?: TorchSide;
  /** Floating point operations of one run, multiplications and additions counted apart. */
  flops?: number;
  /** Bytes one run must read and write at least. */
  bytes?: number;
  /** The limit `flops` are compared with; default bf16 when the case's name says so. */
  peak?: 'f32' | 'bf16';
  /** On a CPU: least ratio of the peer's time to ours; or least share of the machine's limit, or `of` so many TFLOP/s. */
  goal?: number | { share: number; of?: number };
  /** The same on a GPU. */
  gpuGoal?: Sides['goal'];
  /** On a CPU it takes minutes, or compares nothing. */
  gpuOnly?: boolean;
  /** Look at memory as well; where there is a goal, ours has to be the peer's at most. */
  memory?: boolean;
  /** An earlier case that this one should take so many times less memory than, for so many times the time at most; both with `memory`. */
  lighterThan?: { name: string; memory: number; time: number };
}

export interface Case extends Sides {
  name: string;
}

export const goalOf = ({ goal, gpuGoal }: Case, device: Limits['device']) => (device === 'cpu' ? goal : gpuGoal);

export const pair = (name: string, sides: Sides): Case => ({ name, ...sides });

export interface Result {
  name: string;
  ours?: Summary;
  torch?: Summary;
  /** Median over the pairs of blocks of torch's time by ours. */
  ratio?: number;
  gigaflops?: number;
  gigabytes?: number;
  /** What reading memory gave in turns with the case, where the goal is a share of it. */
  readGigabytes?: number;
  /** Of what this machine was measured to do, the nearer of its two limits. */
  share?: number;
  /** Of the TFLOP/s that the goal names. */
  shareOfGoal?: number;
  memory?: MemoryUse;
  /** Of the earlier case's transient memory by this one's, and of this one's time by the earlier's. */
  lighter?: { name: string; memory: number; time: number };
  goal?: Sides['goal'];
  met?: boolean;
  failures: string[];
}

/** In bytes. */
export interface MemoryUse {
  /** Most that our process had resident since the case began, and the peer's; on a GPU, that tensors held. */
  ours: number;
  torch?: number;
  /** Most that tensors of ours held in a run, above what they hold between two. */
  transient: number;
}

interface Side {
  /** Seconds that `runs` runs take. */
  block(runs: number): Promise<Taken>;
}

/** Copied before each run on a GPU: with its copy twice what any second-level cache holds, and time enough to enqueue the run meanwhile. */
const kFlushBytes = 128 << 20;
const kBlockSeconds = { cpu: 0.05, cuda: 0.02 } as const;
const kPauseMs = 5; // threads of the side that has just run stop spinning

async function runsPerBlock(side: Side, blockSeconds: number): Promise<number> {
  await side.block(1);
  let runs = 1;
  for (let { seconds } = await side.block(runs); seconds < blockSeconds; { seconds } = await side.block(runs)) {
    runs = Math.max(runs + 1, Math.min(runs * 10, Math.ceil((1.2 * runs * blockSeconds) / Math.max(seconds, 1e-6))));
  }
  return runs;
}

async function timed<Value>(failures: string[], who: string, body: () => Promise<Value>): Promise<Value | undefined> {
  try {
    return await body();
  } catch (error) {
    failures.push(`${who}: ${(error as Error).message}`);
    return undefined;
  }
}

/** Of a side that has run all blocks. What is taken off a block may be more, by chance, but not of half of them. */
function summarized(failures: string[], who: string, seconds: readonly number[], blocks: number, runs = 1): Summary | undefined {
  if (seconds.length < blocks) return undefined;
  const all = summary(seconds, runs);
  if (all.median > 0) return all;
  failures.push(`${who}: a run takes no longer than what is taken off`);
  return undefined;
}

/** Our side: `first`, where there is one, before each run, and the time of either taken off. */
function ourSide(run: Run, less: Run | undefined, first: Run | undefined): Side {
  const secondsOf = async (runs: number, bodies: readonly Run[]) => {
    const start = performance.now();
    for (let i = 0; i < runs; i++) {
      for (const body of bodies) {
        const pending = tidy(() => {
          const result = body();
          return result instanceof Promise ? result : undefined;
        });
        if (pending) await pending;
      }
    }
    await synchronize();
    return (performance.now() - start) / 1000;
  };
  const taken = [first, run].filter((body) => body !== undefined);
  const takenOff = [first, less].filter((body) => body !== undefined);
  return {
    async block(runs) {
      const seconds = await secondsOf(runs, taken);
      return { seconds, less: takenOff.length > 0 ? await secondsOf(runs, takenOff) : 0 };
    },
  };
}

/** Fills the second-level cache of a GPU with what no case reads; as the peer does. */
function flusher(): Run {
  const [from, to] = [zeros([kFlushBytes], 'u8'), zeros([kFlushBytes], 'u8')];
  return () => copyInto(from, to);
}

/** Times one case. A side that fails is in `failures`; the other one is timed all the same. */
export async function measure(one: Case, peer: TorchPeer | undefined, limits: Limits, blocks: number): Promise<Result> {
  const failures: string[] = [];
  const { device } = limits;
  const goal = goalOf(one, device);
  const result: Result = { name: one.name, goal, failures };
  if (one.memory) device === 'cpu' ? resetResidentPeak() : resetPeak(device);
  const isFlushed = device === 'cuda' && !limits.simulated && !one.memory;
  await tidy(async () => {
    const made = await timed(failures, 'ours', async () => one.ours());
    const [run, less] = typeof made === 'function' ? [made] : (made ?? []);
    const ours = run && ourSide(run, less, isFlushed ? flusher() : undefined);
    const { torch } = one;
    const opened = peer && torch && (await timed(failures, 'torch', () => peer.open(torch, isFlushed ? kFlushBytes : 0)));
    const theirs: Side | undefined = opened ? peer : undefined;

    const ourRuns = ours && (await timed(failures, 'ours', () => runsPerBlock(ours, kBlockSeconds[device])));
    const theirRuns = theirs && (await timed(failures, 'torch', () => runsPerBlock(theirs, kBlockSeconds[device])));
    const reads =
      device === 'cpu' && one.bytes && typeof goal === 'object' && limits.readGigabytes ? new ReadProbe(limits.threads) : undefined;
    await reads?.gigabytes(); // its buffer is written first
    const gigabytes: number[] = [];
    const ourSeconds: number[] = [];
    const theirSeconds: number[] = [];
    const sides = [
      { who: 'ours', side: ours, runs: ourRuns, seconds: ourSeconds },
      { who: 'torch', side: theirs, runs: theirRuns, seconds: theirSeconds },
    ];
    for (let block = 0; block < blocks; block++) {
      for (const { who, side, runs, seconds } of sides) {
        if (!side || !runs || failures.some((failure) => failure.startsWith(who))) continue;
        await new Promise((resolve) => setTimeout(resolve, kPauseMs));
        const taken = await timed(failures, who, () => side.block(runs));
        if (taken) seconds.push((taken.seconds - taken.less) / runs);
      }
      if (reads) gigabytes.push(await reads.gigabytes());
      sides.reverse();
    }
    reads?.end();
    if (one.memory && ours) {
      result.memory = await timed(failures, 'ours', async () => {
        const { liveBytes } = memory(device);
        const held = device === 'cpu' ? residentPeak() : memory(device).peakBytes;
        resetPeak(device);
        await ours.block(1);
        return { ours: held, torch: opened && (await peer.peakBytes()), transient: memory(device).peakBytes - liveBytes };
      });
    }
    if (opened) await timed(failures, 'torch', () => peer.close());
    result.ours = summarized(failures, 'ours', ourSeconds, blocks, ourRuns);
    if (reads && result.ours) {
      result.readGigabytes = summary(gigabytes, 1).median;
      result.share = summary(
        ourSeconds.map((seconds, i) => (one.bytes as number) / seconds / 1e9 / (gigabytes[i] as number)),
        1,
      ).median;
    }
    result.torch = summarized(failures, 'torch', theirSeconds, blocks, theirRuns);
    if (result.ours && result.torch) {
      result.ratio = summary(
        ourSeconds.map((seconds, i) => (theirSeconds[i] as number) / seconds),
        1,
      ).median;
    }
  });
  if (device === 'cuda') trimMemory(device); // the peer is on the same card
  return judged(result, one, limits);
}

/** `result` of a case that is to be lighter than one of `earlier`. */
export function beside(result: Result, { lighterThan }: Case, earlier: readonly Result[]): Result {
  const other = earlier.find(({ name }) => name === lighterThan?.name);
  if (!lighterThan || !result.ours || !result.memory || !other?.ours || !other.memory) return result;
  const [memory, time] = [other.memory.transient / result.memory.transient, result.ours.median / other.ours.median];
  const met = memory >= lighterThan.memory && time <= lighterThan.time;
  return { ...result, lighter: { name: other.name, memory, time }, met };
}

/** From here on the kernel counts the peak of this process anew. */
function resetResidentPeak(): void {
  trimMemory();
  writeFileSync('/proc/self/clear_refs', '5');
}

function residentPeak(): number {
  const [, kibibytes] = /VmHWM:\s+(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8')) as RegExpExecArray;
  return 1024 * Number(kibibytes);
}

function judged(result: Result, one: Case, limits: Limits): Result {
  if (!result.ours) return result;
  const shares: number[] = [];
  if (one.flops) {
    result.gigaflops = one.flops / result.ours.median / 1e9;
    const peak = one.peak ?? (one.name.includes('bf16') ? 'bf16' : 'f32');
    const limit = peak === 'bf16' ? limits.bf16Gigaflops : limits.f32Gigaflops;
    if (limit) shares.push(result.gigaflops / limit);
  }
  if (one.bytes) {
    result.gigabytes = one.bytes / result.ours.median / 1e9;
    if (limits.readGigabytes) shares.push(result.gigabytes / limits.readGigabytes);
  }
  if (shares.length > 0) result.share ??= Math.max(...shares);
  const { goal } = result;
  if (goal !== undefined) {
    if (typeof goal === 'object' && goal.of && result.gigaflops) result.shareOfGoal = result.gigaflops / goal.of / 1000;
    const [got, wanted] = typeof goal === 'number' ? [result.ratio, goal] : [goal.of ? result.shareOfGoal : result.share, goal.share];
    const isLighter = !result.memory?.torch || result.memory.ours <= result.memory.torch;
    if (got !== undefined) result.met = got >= wanted && isLighter;
  }
  return result;
}
