// npm run fetch:cublas: headers and library of cuBLAS in build/cublas, from the package `nvidia-cublas`, through pip and wherever it
// is set up to look. A machine with the whole CUDA toolkit has no need of it. 600 MB; CMakeLists.txt finds it there.
const { existsSync, symlinkSync } = require('node:fs');
const { join } = require('node:path');
const { root } = require('./parallel.js');
const { unpackWheel } = require('./wheel.js');

const folder = join(root, 'build/cublas');

if (existsSync(join(folder, 'include/cublasLt.h'))) {
  console.log(`fetch: ${folder} is there already`);
  process.exit(0);
}
const wheel = unpackWheel(folder, 'nvidia-cublas==13.*');
for (const name of ['include', 'lib']) symlinkSync(join('nvidia/cu13', name), join(folder, name));
for (const library of ['cublas', 'cublasLt']) symlinkSync(`lib${library}.so.13`, join(folder, `lib/lib${library}.so`));
console.log(`fetch: ${wheel} is in ${folder}`);
