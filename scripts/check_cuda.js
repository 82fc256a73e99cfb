// npm run check:cuda [-- FILE...]: compiles every CUDA source with nvcc for the oldest and for a current architecture, and fails
// on a warning, an error, a kernel that spills registers to memory, what ptxas calls a loss of performance (products that do not
// overlap, registers that are not handed over by setmaxnreg), or a kernel for Hopper without its tensor cores (wgmma) and its copy
// engine (TMA), with a stack, with loads and stores of local memory, or without the exponentials of a tile while products are
// pending. Nothing is run: no GPU is needed.
const { availableParallelism } = require('node:os');
const { mkdirSync, readFileSync, rmSync, statSync } = require('node:fs');
const { delimiter, join } = require('node:path');
const { root, run, runAll } = require('./parallel.js');
const { works } = require('./setup.js');

const architectures = ['sm_80', 'sm_90a'];
/** Logits of a tile that a thread of `attend_hopper` has: 64 queries and 128 keys, of 128 threads. */
const exponentialsOfTile = 64;
const folder = join(root, 'build/check_cuda');

if (!works('nvcc', ['--version'])) {
  console.error('check:cuda: nvcc is not on the PATH, expected that of CUDA 12.8 or newer');
  process.exit(1);
}
const cmake = readFileSync(join(root, 'CMakeLists.txt'), 'utf8');
const listed = (set) =>
  cmake
    .match(new RegExp(`^set\\(${set}\\n([^)]*)\\)`, 'm'))[1]
    .trim()
    .split(/\s+/);
// cublas.cpp needs cuBLAS's headers: those of the toolkit, or what scripts/fetch_cublas.js fetched.
const fetched = `-I${join(root, 'build/cublas/include')}`;
const hasCublas = works('nvcc', ['-E', '-x', 'cu', fetched, '-'], '#include <cublasLt.h>\n');
if (!hasCublas) console.log('check:cuda: cuda/cublas.cpp is left out, as there is no cublasLt.h; npm run fetch:cublas fetches it');
const sources = [...listed('CUDA'), ...listed('DRIVEN').filter((file) => hasCublas || file !== 'cuda/cublas.cpp')];
// cuobjdump runs nvdisasm: of the toolkit, or what scripts/fetch_cuobjdump.js fetched.
process.env.PATH = [process.env.PATH, join(root, 'build/cuobjdump')].join(delimiter);
const asMachineCode = works('cuobjdump', ['--version']) && works('nvdisasm', ['--version']);
if (!asMachineCode)
  console.log('check:cuda: kernels for Hopper are looked into as PTX, as there is no cuobjdump; npm run fetch:cuobjdump fetches it');
const named = process.argv.slice(2);
const files = sources.filter((file) => named.length === 0 || named.includes(file));
if (files.length === 0) throw new Error(`none of ${named.join(', ') || 'CMakeLists.txt'} is a CUDA source`);

const targets = architectures.flatMap((sm) => ['-gencode', `arch=${sm.replace('sm', 'compute')},code=${sm}`]);
const language = ['-std=c++20', '--expt-relaxed-constexpr', '-DMGLMM_SM_90A', '-DMGLMM_ARCHITECTURES=80', '-I.', fetched];
const flags = [...language, '-Xcompiler', '-Wall,-Wextra,-fPIC', '-Xptxas', '-v', ...targets];

// Of each kernel for Hopper, which `hopper` in its name says: how often it multiplies by wgmma, loads by TMA, and loads and stores local
// memory; and how many exponentials it takes between the wait for the newest products but one and the wait for all, while tensor cores
// work. In machine code where cuobjdump is, else in PTX, which shows neither of the last two as they run.
async function hopperKernels(file, object) {
  const ptx = `${object}.ptx`;
  const { passed, output } = asMachineCode
    ? await run('cuobjdump', ['-sass', '-arch', 'sm_90a', object])
    : await run('nvcc', [...language, '-ptx', '-arch=compute_90a', file, '-o', ptx]);
  if (!passed) throw new Error(`check:cuda: ${file} cannot be looked into: ${output}`);
  const code = asMachineCode ? output : readFileSync(ptx, 'utf8');
  const [begins, multiplies, loads, local] = asMachineCode
    ? [/Function : (\w+)/, /\bHGMMA\b/g, /\bUTMALDG\b/g, /\b(LDL|STL)\b/g]
    : [/\.entry (\w+)/, /\bwgmma\.mma_async\b/g, /\bcp\.async\.bulk\.tensor\b/g, /\b(ld|st)\.local\b/g];
  const kernels = code.split(new RegExp(`(?=${begins.source})`)).map((text) => ({ name: begins.exec(text)?.[1] ?? '', text }));
  return kernels
    .filter(({ name }) => name.includes('hopper'))
    .map(({ name, text }) => ({
      name,
      multiplied: text.match(multiplies)?.length ?? 0,
      loaded: text.match(loads)?.length ?? 0,
      local: text.match(local)?.length ?? 0,
      overlapped: asMachineCode ? overlappedIn(text) : undefined,
    }));
}

/** `MUFU.EX2` from a `DEPBAR.LE gsb0, 0x1` to the next `DEPBAR.LE gsb0, 0x0`: the fewest of all. */
function overlappedIn(code) {
  const pending = code.split('WARPGROUP.DEPBAR.LE gsb0, 0x1').slice(1);
  const counts = pending.map((text) => text.split('WARPGROUP.DEPBAR.LE gsb0, 0x0')[0].match(/\bMUFU\.EX2\b/g)?.length ?? 0);
  return counts.length > 0 ? Math.min(...counts) : 0;
}

async function main() {
  mkdirSync(folder, { recursive: true });
  const objects = (file) => join(folder, `${file.replaceAll('/', '_')}.o`);
  const { passed, all: output } = await runAll(files, (file) => ['nvcc', [...flags, '-c', file, '-o', objects(file)]]);
  const hopper = [];
  for (const file of files.filter((name) => readFileSync(join(root, name), 'utf8').includes('attend_hopper'))) {
    const found = passed ? await hopperKernels(file, objects(file)) : [];
    if (passed && found.length === 0) throw new Error(`check:cuda: ${file} has no kernel for Hopper`);
    hopper.push(...found);
  }
  const bytes = passed ? files.reduce((sum, file) => sum + statSync(objects(file)).size, 0) : 0;
  rmSync(folder, { recursive: true });
  const kernels = [
    ...output.matchAll(
      /entry function '(\w+)' for '(\w+)'[^\n]*\n[^\n]*\n\s*(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/g,
    ),
  ];
  const spilling = kernels.filter(([, , , , stores, loads]) => Number(stores) + Number(loads) > 0);
  for (const [, name, architecture, , stores, loads] of spilling) {
    console.log(`check:cuda: ${name} on ${architecture} spills ${stores} bytes and reads ${loads}`);
  }
  for (const { name, multiplied, loaded, local, overlapped } of hopper) {
    const seen = asMachineCode
      ? `${multiplied} HGMMA, ${loaded} UTMALDG, ${local} LDL or STL, ${overlapped} MUFU.EX2 beside products, in machine code`
      : `${multiplied} wgmma.mma_async, ${loaded} cp.async.bulk.tensor in PTX`;
    console.log(`check:cuda: ${name} on sm_90a: ${seen}`);
  }
  // Arrays in memory that were meant for registers.
  const stacked = kernels.filter(([, , , frame]) => Number(frame) > 0);
  for (const [, name, architecture, frame] of stacked) console.log(`check:cuda: ${name} on ${architecture} has a stack of ${frame} bytes`);
  const stackedHopper = stacked.filter(([, name]) => name.includes('hopper'));
  const idle = hopper.filter(
    ({ multiplied, loaded, overlapped = exponentialsOfTile }) => multiplied * loaded === 0 || overlapped < exponentialsOfTile,
  );
  const local = hopper.filter((kernel) => kernel.local > 0);
  // As "ptxas info", no warning: C7504 to C7510.
  const slowed = output.split('\n').filter((line) => line.includes('Potential Performance Loss'));
  for (const line of slowed) console.log(`check:cuda: ${line}`);
  const faults = spilling.length + idle.length + local.length + stackedHopper.length + slowed.length;
  const warnings = output.split('\n').filter((line) => /\bwarning\b|\berror\b/.test(line) && !line.startsWith('ptxas info'));
  if (!passed || warnings.length > 0)
    console.log(
      output
        .split('\n')
        .filter((line) => !/^ptxas info|bytes stack frame/.test(line))
        .join('\n'),
    );
  console.log(
    `check:cuda: ${files.length} files for ${architectures.join(' and ')}, ${(bytes / 2 ** 20).toFixed(1)} MB, ${kernels.length} kernels, ${spilling.length} that spill, ` +
      `${stacked.length} with a stack, ${hopper.length} for Hopper, ${idle.length} of them without its instructions or overlap, ` +
      `${stackedHopper.length} with a stack, ${local.length} with local memory, ${slowed.length} losses of performance, ` +
      `${warnings.length} warnings, ${availableParallelism()} cores: ${passed && faults + warnings.length === 0 ? 'passed' : 'FAILED'}`,
  );
  if (!passed || faults + warnings.length > 0 || (named.length === 0 && kernels.length === 0)) process.exit(1);
}

void main();
