// npm run check:aarch64: compiles every C++ source for aarch64 and throws the objects away. Nothing is linked: that needs
// the libraries of such a machine.
const { execFileSync } = require('node:child_process');
const { join } = require('node:path');
const { root, runAll } = require('./parallel.js');
const { installPackages, works } = require('./setup.js');

const compiler = 'aarch64-linux-gnu-g++';
const flags = ['-std=gnu++20', '-c', '-o', '/dev/null', '-Wall', '-Wextra', '-Werror', '-fopenmp', '-fPIC', '-I.'];
const defines = ['-DMGLMM_CPU_LEVEL="generic"', '-DNAPI_VERSION=8', '-DNAPI_CPP_EXCEPTIONS'];
const headers = ['node_modules/node-addon-api', 'node_modules/node-api-headers/include'];
const includes = headers.flatMap((folder) => ['-isystem', join(root, folder)]);

async function main() {
  if (!works(compiler, ['--version'])) installPackages(['g++-aarch64-linux-gnu'], 'to compile for aarch64');
  const list = execFileSync('git', ['ls-files', 'binding/*.cpp', 'cpu/*.cpp', 'kernels/*.cpp'], { cwd: root, encoding: 'utf8' });
  const files = list.split('\n').filter(Boolean);
  if (files.length === 0) throw new Error('no C++ file was found to compile');
  const { passed, output } = await runAll(files, (file) => [compiler, [...flags, ...defines, ...includes, file]]);
  if (!passed) console.log(output);
  console.log(`aarch64: ${files.length} files, ${passed ? 'passed' : 'FAILED'}`);
  if (!passed) process.exit(1);
}

void main();
