// npm run test:simulated [-- JEST_ARGS]: builds the CUDA backend against its simulator (cuda/simulator), checks the simulator
// itself, and runs on it every test of ops and of what is made of them, whole models and trainings among it. The addon and the CPU's backend are
// those of `build`.
// MGLMM_SIMULATOR_ORDER, a number from 1, takes blocks, warps and lanes in another order.
const { execFileSync, spawnSync } = require('node:child_process');
const { availableParallelism } = require('node:os');
const { join } = require('node:path');
const { root } = require('./parallel.js');
const { buildEnvironment, isStale, setUp } = require('./setup.js');

if (isStale()) setUp(); // a checkout that was moved: its addon runs, but cmake refuses to go on

const env = buildEnvironment();
const quietly = { cwd: root, env, stdio: ['ignore', 'ignore', 'inherit'] };
console.log('simulated: building the CUDA backend for the simulator');
execFileSync('cmake', ['-B', 'build', '-DMGLMM_CUDA=simulated'], quietly);
const targets = ['mglmm_cuda_simulated', 'mglmm_simulator_test'];
execFileSync('cmake', ['--build', 'build', '--parallel', String(availableParallelism()), '--target', ...targets], quietly);

execFileSync(join(root, 'build/test/mglmm_simulator_test'), quietly);
console.log('simulated: the simulator keeps its promises');

const given = process.argv.slice(2);
const folders = 'ops cuda autograd tensor nn models generate inference train weights image masks goldens.test.ts';
const paths = given.some((argument) => !argument.startsWith('-')) ? [] : folders.split(' ').map((name) => join('test', name));
const { status } = spawnSync(process.execPath, [join(root, 'node_modules/jest/bin/jest.js'), '--testTimeout=600000', ...paths, ...given], {
  cwd: root,
  env: { ...process.env, MGLMM_CUDA: 'simulated', MGLMM_TEST_DEVICES: 'cuda:0' },
  stdio: 'inherit',
});
process.exit(status ?? 1);
