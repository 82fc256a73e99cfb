/** What `mglmm doctor` looks at on a machine, each with what it found and what to do about it. */
import { existsSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { basename, join } from 'node:path';
import { beside, graphics, loadedLibraries, memory, processor, system } from './machine';
import { formatBytes } from './terminal';

export interface Finding {
  readonly what: string;
  readonly found: string;
  /** `note`: it works, but somebody may want to know; `bad`: it does not work. */
  readonly state: 'good' | 'note' | 'bad';
  /** A line for a shell. */
  readonly fix?: string;
}

const root = join(__dirname, '../..');
const leastGlibc = 34; // of 2.
const elsewhere = 'docker run --rm -it -v "$PWD:/work" -w /work node:22 npx mglmm doctor';

export function node(): Finding {
  const { node: found } = process.versions;
  const [major, minor] = found.split('.').map(Number) as [number, number];
  const fits = (major === 20 && minor >= 17) || (major === 22 && minor >= 9) || major > 22;
  if (fits) return { what: 'Node', found, state: 'good' };
  return { what: 'Node', found: `${found}, expected 20.17 or newer, or 22.9 or newer`, state: 'bad', fix: 'nvm install 22' };
}

export function systemOf(): Finding {
  const { platform, arch, name, glibc } = system();
  const found = `${platform} ${arch}, ${name}${glibc ? `, glibc ${glibc}` : ''}`;
  if (platform !== 'linux') return { what: 'system', found: `${found}, expected Linux`, state: 'bad', fix: elsewhere };
  if (glibc === undefined || Number(glibc.split('.')[1]) < leastGlibc) {
    const why = `${glibc ? '' : ', another C library'}, expected glibc 2.${leastGlibc} or newer`;
    return { what: 'system', found: found + why, state: 'bad', fix: elsewhere };
  }
  return { what: 'system', found, state: 'good' };
}

export function processorOf(): Finding {
  const { model, cores, level, units } = processor();
  const has = Object.entries(units).flatMap(([unit, present]) => (present ? [unit] : []));
  const lacks = Object.entries(units).flatMap(([unit, present]) => (present || unit === 'AVX2' ? [] : [unit]));
  const found = `${model}, ${cores} ${cores === 1 ? 'core' : 'cores'}: ${has.join(', ') || 'no vector instructions that are used'}`;
  if (level === undefined) return { what: 'processor', found: `${found}; expected x86-64-v2 or better (since 2009)`, state: 'bad' };
  return { what: 'processor', found: lacks.length > 0 ? `${found}; not ${lacks.join(', ')}` : found, state: 'good' };
}

/** The name of the backend that the addon loads. */
export function addon(): { readonly name?: string; readonly problems: readonly Finding[] } {
  try {
    const { backendName } = require('../tensor/create') as typeof import('../tensor/create');
    return { name: backendName(), problems: [] };
  } catch (error) {
    const found = error instanceof Error ? error.message : String(error);
    if (found.startsWith('MGLMM_THREADS')) return { problems: [{ what: 'threads', found, state: 'bad', fix: 'unset MGLMM_THREADS' }] };
    const fix = process.env.MGLMM_CPU_LEVEL
      ? 'unset MGLMM_CPU_LEVEL'
      : /libdnnl\S*: cannot open shared object/.test(found)
        ? 'sudo apt-get install libdnnl2'
        : rebuild();
    return { problems: [{ what: 'addon', found, state: 'bad', fix }] };
  }
}

const rebuild = () => (existsSync(join(root, 'scripts/setup.js')) ? 'npm run build' : 'npm install --force CLONE/mglmm-VERSION.tgz');

/** Which instructions are used and why, and the library of matrix products that was loaded. */
export function backend(name: string): Finding[] {
  const { MGLMM_CPU_LEVEL: asked } = process.env;
  const used = name.split(' ').at(-1) as string;
  const best = processor().level;
  const findings: Finding[] = [];
  if (asked) {
    const why = `${name}: MGLMM_CPU_LEVEL asks for it`;
    if (best === used) findings.push({ what: 'backend', found: why, state: 'good' });
    else findings.push({ what: 'backend', found: `${why}; this processor runs ${best}`, state: 'note', fix: 'unset MGLMM_CPU_LEVEL' });
  } else if (used === best) findings.push({ what: 'backend', found: `${name}: the best that this processor runs`, state: 'good' });
  else
    findings.push({ what: 'backend', found: `${name}: this processor runs ${best}, which was not built`, state: 'note', fix: rebuild() });

  const oneDnn = loadedLibraries('libdnnl')[0];
  if (oneDnn)
    findings.push({ what: 'oneDNN', found: `${basename(oneDnn).replace(/^libdnnl\.so\.?/, '') || 'found'}, ${oneDnn}`, state: 'good' });
  const shipped = loadedLibraries('libmglmm_cpu_')[0];
  const built = shipped ? beside(shipped).flatMap((file) => file.match(/^libmglmm_cpu_(.+)\.so$/)?.[1] ?? []) : [];
  if (built.length > 0) findings.push({ what: 'built for', found: built.sort().join(', '), state: 'good' });
  return findings;
}

/** The addon has found that the number is one. */
export function threads(): Finding {
  const { MGLMM_THREADS: asked } = process.env;
  const { cores, quota } = processor();
  const what = 'threads';
  if (asked) {
    if (Number(asked) <= cores) return { what, found: `${asked}: MGLMM_THREADS asks for them`, state: 'good' };
    return {
      what,
      found: `${asked} by MGLMM_THREADS, for ${cores} cores: they wait for each other`,
      state: 'note',
      fix: `export MGLMM_THREADS=${cores}`,
    };
  }
  if (quota === undefined || quota >= cores) return { what, found: `${cores}, one a core`, state: 'good' };
  const whole = Math.max(1, Math.floor(quota));
  return { what, found: `${cores}, but this container may use ${quota} cores`, state: 'note', fix: `export MGLMM_THREADS=${whole}` };
}

export function memoryOf(): Finding {
  const { totalBytes, availableBytes, limitBytes } = memory();
  const limit = limitBytes === undefined ? '' : `, this container may have ${formatBytes(limitBytes)}`;
  return { what: 'memory', found: `${formatBytes(availableBytes)} free of ${formatBytes(totalBytes)}${limit}`, state: 'good' };
}

export function pictures(): Finding {
  try {
    const { versions } = require('sharp') as typeof import('sharp');
    return { what: 'pictures', found: `sharp ${versions.sharp}, libvips ${versions.vips}`, state: 'good' };
  } catch (error) {
    const found = `sharp does not load: ${(error instanceof Error ? error.message : String(error)).split('\n')[0]}`;
    return { what: 'pictures', found, state: 'bad', fix: `npm install --os=linux --cpu=${process.arch} sharp` };
  }
}

/** Phrases are written on pictures. */
export function fonts(): Finding {
  const folders = ['/usr/share/fonts', '/usr/local/share/fonts', join(homedir(), '.fonts'), join(homedir(), '.local/share/fonts')];
  const some = folders.find((folder) => hasFont(folder, 4));
  if (some) return { what: 'fonts', found: some, state: 'good' };
  const found = 'none: phrases are not written on pictures, masks are drawn all the same';
  return { what: 'fonts', found, state: 'note', fix: 'sudo apt-get install fonts-dejavu-core' };
}

function hasFont(folder: string, depth: number): boolean {
  if (!existsSync(folder)) return false;
  const entries = readdirSync(folder, { withFileTypes: true });
  if (entries.some(({ name }) => /\.(ttf|otf|ttc|pfb)$/i.test(name))) return true;
  return depth > 0 && entries.some((entry) => entry.isDirectory() && hasFont(join(folder, entry.name), depth - 1));
}

/** Graphics processors, and whether tensors can be put there. */
export function gpu(): Finding[] {
  const { present, driver, cuda, cublas } = graphics();
  const problem = cudaReason();
  const used = problem === undefined ? `models use ${gpuName()}` : `not used: ${problem}`;
  if (!present) return [{ what: 'GPU', found: `none of NVIDIA; ${used}`, state: 'good' }];
  const found = driver ? `driver ${driver}${cuda ? `, ${cuda}` : ', libcuda.so.1 not found'}` : 'an NVIDIA GPU without a driver';
  return [
    { what: 'GPU', found: `${found}; ${used}`, state: 'note', ...(driver ? {} : { fix: 'sudo apt-get install nvidia-driver' }) },
    { what: 'cuBLAS', found: cublas ?? 'not found', state: 'note' },
  ];
}

/** The first, by its backend. */
function gpuName(): string {
  const { backendName } = require('../tensor/create') as typeof import('../tensor/create');
  return `cuda:0 (${backendName('cuda')})`;
}

/** Why no GPU can be used. */
function cudaReason(): string | undefined {
  try {
    const { cudaProblem } = require('../tensor/device') as typeof import('../tensor/device');
    return cudaProblem();
  } catch {
    return 'the addon does not load';
  }
}
