/** What this machine is, read from the system: processor, memory, libraries, graphics. Nothing is loaded for it. */
import { readdirSync, readFileSync, realpathSync } from 'node:fs';
import { arch, availableParallelism, cpus, freemem, platform, release, totalmem } from 'node:os';
import { basename, dirname } from 'node:path';

/** A file's text; undefined when it cannot be read. */
function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

export interface System {
  readonly platform: string;
  readonly arch: string;
  /** Such as `Debian GNU/Linux 12 (bookworm)`. */
  readonly name: string;
  /** Undefined where the C library is another one. */
  readonly glibc?: string;
}

export function system(): System {
  const name = textOf('/etc/os-release')?.match(/^PRETTY_NAME="?([^"\n]*)/m)?.[1] ?? release();
  const { header } = process.report.getReport() as { header?: { glibcVersionRuntime?: string } };
  return { platform: platform(), arch: arch(), name, glibc: header?.glibcVersionRuntime };
}

/** Instructions that a level of x86-64 asks for beyond the one before, as /proc/cpuinfo names them; without `abm`, which some virtual machines have and do not name. */
const levels: readonly [level: string, flags: readonly string[]][] = [
  ['x86-64-v2', ['cx16', 'lahf_lm', 'popcnt', 'sse4_2', 'ssse3']],
  ['x86-64-v3', ['avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'movbe']],
  ['x86-64-v4', ['avx512bw', 'avx512cd', 'avx512dq', 'avx512f', 'avx512vl']],
  ['x86-64-v4-bf16', ['avx512_bf16', 'avx512_vnni']],
];

export interface Processor {
  readonly model: string;
  /** That this process may use. */
  readonly cores: number;
  /** That a container's share of time comes to; undefined without a limit. */
  readonly quota?: number;
  /** The best level of instructions that it runs; undefined where it is below all. */
  readonly level?: string;
  /** Whether it has them, by name. */
  readonly units: Readonly<Record<'AVX2' | 'AVX-512' | 'AVX512-BF16' | 'AVX512-VNNI' | 'AMX-BF16', boolean>>;
}

export function processor(): Processor {
  const flags = new Set(
    textOf('/proc/cpuinfo')
      ?.match(/^flags\s*:\s*(.*)$/m)?.[1]
      ?.split(' '),
  );
  let level = arch() === 'x64' ? undefined : 'generic';
  for (const [name, needed] of arch() === 'x64' ? levels : []) {
    if (!needed.every((flag) => flags.has(flag))) break;
    level = name;
  }
  const [quota, period] = (textOf('/sys/fs/cgroup/cpu.max') ?? '').split(' ').map(Number);
  return {
    model: cpus()[0]?.model.trim() || 'unknown processor',
    cores: availableParallelism(),
    quota: quota && period ? quota / period : undefined,
    level,
    units: {
      AVX2: flags.has('avx2'),
      'AVX-512': flags.has('avx512f'),
      'AVX512-BF16': flags.has('avx512_bf16'),
      'AVX512-VNNI': flags.has('avx512_vnni'),
      'AMX-BF16': flags.has('amx_bf16') && flags.has('amx_tile'),
    },
  };
}

export interface Memory {
  readonly totalBytes: number;
  /** That programs may still take, what the system keeps of files included. */
  readonly availableBytes: number;
  /** Of a container; undefined without. */
  readonly limitBytes?: number;
}

export function memory(): Memory {
  const available = textOf('/proc/meminfo')?.match(/^MemAvailable:\s*(\d+) kB/m)?.[1];
  const limit = Number(textOf('/sys/fs/cgroup/memory.max'));
  const used = Number(textOf('/sys/fs/cgroup/memory.current'));
  const free = available ? Number(available) * 1024 : freemem();
  return {
    totalBytes: totalmem(),
    availableBytes: limit ? Math.min(free, limit - used) : free,
    limitBytes: limit && limit < totalmem() ? limit : undefined,
  };
}

/** Libraries that this process has loaded whose name begins so: full paths, symbolic links resolved. */
export function loadedLibraries(stem: string): string[] {
  const paths = [...(textOf('/proc/self/maps') ?? '').matchAll(/\s(\/\S+)$/gm)].map(([, path]) => path as string);
  return [...new Set(paths.filter((path) => basename(path).startsWith(stem)))].map((path) => realOf(path));
}

const realOf = (path: string): string => {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
};

/** Names of files beside `path`. */
export const beside = (path: string): string[] => namesIn(dirname(path));

export interface Graphics {
  /** Whether there is a device of NVIDIA's on the bus. */
  readonly present: boolean;
  /** Version of the kernel's driver. */
  readonly driver?: string;
  /** Paths of what CUDA programs load, the newest of each. */
  readonly cuda?: string;
  readonly cublas?: string;
}

export function graphics(): Graphics {
  const devices = namesIn('/sys/bus/pci/devices').map((name) => `/sys/bus/pci/devices/${name}`);
  // 0x03: a display controller, of which 3D controllers are a kind.
  const onBus = devices.some((path) => textOf(`${path}/vendor`)?.trim() === '0x10de' && textOf(`${path}/class`)?.startsWith('0x03'));
  const driver = driverVersion(textOf('/proc/driver/nvidia/version') ?? '');
  return {
    present: onBus || driver !== undefined || namesIn('/dev').includes('nvidia0'),
    driver,
    cuda: find(/^libcuda\.so\.1$/),
    cublas: find(/^libcublas\.so\.\d+$/),
  };
}

/** Of a line such as `NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  560.35.03  Release Build ...`. */
export const driverVersion = (text: string): string | undefined => text.match(/Kernel Module.*?\s(\d+(?:\.\d+)+)\s/)?.[1];

/** The last in order of name of libraries where the dynamic linker looks, and where CUDA is put. */
function find(name: RegExp): string | undefined {
  const cuda = namesIn('/usr/local').filter((folder) => folder.startsWith('cuda'));
  const folders = [
    ...(process.env.LD_LIBRARY_PATH ?? '').split(':').filter(Boolean),
    ...cuda.flatMap((folder) => [`/usr/local/${folder}/lib64`, `/usr/local/${folder}/targets/x86_64-linux/lib`]),
    ...['/usr/lib', '/lib', '/usr/lib64', `/usr/lib/${arch() === 'x64' ? 'x86_64' : 'aarch64'}-linux-gnu`, '/usr/local/lib'],
    ...['/usr/local/nvidia/lib64', '/run/opengl-driver/lib', '/usr/lib/wsl/lib'],
  ];
  const found = folders.flatMap((folder) =>
    namesIn(folder)
      .filter((file) => name.test(file))
      .map((file) => `${folder}/${file}`),
  );
  return found.sort((a, b) => basename(a).localeCompare(basename(b), 'en', { numeric: true })).at(-1);
}
