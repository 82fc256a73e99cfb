// npm run test:sanitize [-- JEST_ARGS]: builds the addon with AddressSanitizer and UndefinedBehaviorSanitizer into a folder
// of its own and runs the tests on it. One instruction-set level (MGLMM_CPU_LEVEL, default x86-64-v3), which is enough:
// the levels share their sources. With MGLMM_CUDA=simulated it is the CUDA backend on its simulator that is built so, beside the
// addon as it is, and what runs on devices runs there.
const { execFileSync, spawnSync } = require('node:child_process');
const { copyFileSync, existsSync, readdirSync } = require('node:fs');
const { availableParallelism } = require('node:os');
const { join } = require('node:path');
const { root } = require('./parallel.js');
const { buildEnvironment } = require('./setup.js');

const isSimulated = process.env.MGLMM_CUDA === 'simulated';
const level = process.env.MGLMM_CPU_LEVEL ?? (process.arch === 'x64' ? 'x86-64-v3' : 'generic');
// node-gyp-build looks for build/Release below the folder that MGLMM_PREBUILD names.
const home = join(root, isSimulated ? 'build/sanitize_cuda' : 'build/sanitize');
const folder = join(home, 'build');

const buildEnv = buildEnvironment();
const run = (command, args) => execFileSync(command, args, { cwd: root, env: buildEnv, stdio: ['ignore', 'ignore', 'inherit'] });

if (!existsSync(join(folder, 'CMakeCache.txt'))) {
  const cmake = join(root, 'node_modules/cmake-js/bin/cmake-js');
  run(process.execPath, [cmake, 'configure', '-O', folder, '--CDMGLMM_SANITIZE=ON']);
}
run('cmake', ['-B', folder, `-DMGLMM_CUDA=${isSimulated ? 'simulated' : 'off'}`, `-DMGLMM_CPU_LEVELS=${level}`]);
console.log(`sanitize: building the ${isSimulated ? 'simulator with the CUDA backend' : 'addon'}`);
const target = isSimulated ? ['--target', 'mglmm_cuda_simulated'] : [];
run('cmake', ['--build', folder, '--parallel', String(availableParallelism()), ...target]);
const release = join(root, 'build/Release');
for (const file of isSimulated ? readdirSync(release) : [])
  if (!/cuda/.test(file)) copyFileSync(join(release, file), join(folder, 'Release', file));

// The runtime must be the first library of the process, and node is not built with it.
const runtime = ['libasan.so', 'libubsan.so'].map((name) => execFileSync('g++', [`-print-file-name=${name}`], { encoding: 'utf8' }).trim());
const env = {
  ...process.env,
  LD_PRELOAD: runtime.join(':'),
  // Node and V8 keep memory to the end of the process; leaks of ours are measured in bench/memory.ts.
  ASAN_OPTIONS: 'detect_leaks=0:abort_on_error=1:allocator_may_return_null=1',
  UBSAN_OPTIONS: 'print_stacktrace=1:halt_on_error=1',
  MGLMM_PREBUILD: home,
  ...(isSimulated ? { MGLMM_TEST_DEVICES: 'cuda:0' } : { MGLMM_CPU_LEVEL: level }),
};
const jest = join(root, 'node_modules/jest/bin/jest.js');
process.exit(
  spawnSync(process.execPath, [jest, '--testTimeout=600000', ...process.argv.slice(2)], { cwd: root, env, stdio: 'inherit' }).status ?? 1,
);
