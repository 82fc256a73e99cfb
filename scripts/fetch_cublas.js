// npm run fetch:cublas: headers and library of cuBLAS in build/cublas, from the package `nvidia-cublas`, through pip and wherever it
// is set up to look. A machine with the whole CUDA toolkit has no need of it. 600 MB; CMakeLists.txt finds it there.
const { execFileSync } = require('node:child_process');
const { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync } = require('node:fs');
const { join } = require('node:path');
const { root } = require('./parallel.js');

const folder = join(root, 'build/cublas');
const python = process.env.MGLMM_PYTHON ?? 'python3';
const run = (...args) => execFileSync(python, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });

if (existsSync(join(folder, 'include/cublasLt.h'))) {
  console.log(`fetch: ${folder} is there already`);
  process.exit(0);
}
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
run('-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '-d', '.', 'nvidia-cublas==13.*');
const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'));
if (!wheel) throw new Error('pip downloaded no wheel of nvidia-cublas');
run('-m', 'zipfile', '-e', wheel, '.');
rmSync(join(folder, wheel));
for (const name of ['include', 'lib']) symlinkSync(join('nvidia/cu13', name), join(folder, name));
for (const library of ['cublas', 'cublasLt']) symlinkSync(`lib${library}.so.13`, join(folder, `lib/lib${library}.so`));
console.log(`fetch: ${wheel} is in ${folder}`);
