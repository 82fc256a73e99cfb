// npm run check:cuda [-- FILE...]: compiles every CUDA source with nvcc for the oldest and for a current architecture, and fails
// on a warning, an error, or a kernel that spills registers to memory. Nothing is run: no GPU is needed.
const { availableParallelism } = require('node:os');
const { mkdirSync, readFileSync, rmSync } = require('node:fs');
const { join } = require('node:path');
const { root, runAll } = require('./parallel.js');
const { works } = require('./setup.js');

const architectures = ['sm_80', 'sm_90a'];
const folder = join(root, 'build/check_cuda');

if (!works('nvcc', ['--version'])) {
  console.error('check:cuda: nvcc is not on the PATH, expected that of CUDA 12.8 or newer');
  process.exit(1);
}
const listed =
  readFileSync(join(root, 'CMakeLists.txt'), 'utf8')
    .match(/^set\(CUDA\n([^)]*)\)/m)?.[1]
    .trim()
    .split(/\s+/) ?? [];
const named = process.argv.slice(2);
const files = listed.filter((file) => named.length === 0 || named.includes(file));
if (files.length === 0) throw new Error(`none of ${named.join(', ') || 'CMakeLists.txt'} is a CUDA source`);

const targets = architectures.flatMap((sm) => ['-gencode', `arch=${sm.replace('sm', 'compute')},code=${sm}`]);
const flags = ['-std=c++20', '--expt-relaxed-constexpr', '-Xcompiler', '-Wall,-Wextra,-fPIC', '-Xptxas', '-v', '-I.', ...targets];

async function main() {
  mkdirSync(folder, { recursive: true });
  const objects = (file) => join(folder, `${file.replaceAll('/', '_')}.o`);
  const { passed, all: output } = await runAll(files, (file) => ['nvcc', [...flags, '-c', file, '-o', objects(file)]]);
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
  const warnings = output.split('\n').filter((line) => /\bwarning\b|\berror\b/.test(line) && !line.startsWith('ptxas info'));
  if (!passed || warnings.length > 0)
    console.log(
      output
        .split('\n')
        .filter((line) => !/^ptxas info|bytes stack frame/.test(line))
        .join('\n'),
    );
  console.log(
    `check:cuda: ${files.length} files for ${architectures.join(' and ')}, ${kernels.length} kernels, ${spilling.length} that spill, ` +
      `${warnings.length} warnings, ${availableParallelism()} cores: ${passed && spilling.length + warnings.length === 0 ? 'passed' : 'FAILED'}`,
  );
  if (!passed || spilling.length > 0 || warnings.length > 0 || (named.length === 0 && kernels.length === 0)) process.exit(1);
}

void main();
