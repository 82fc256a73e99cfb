// npm run fetch:cuobjdump: NVIDIA's cuobjdump and nvdisasm in build/cuobjdump, from the package `triton`, which brings them, through pip
// and wherever it is set up to look. A machine with the whole CUDA toolkit has no need of it. npm run check:cuda finds them there.
const { chmodSync, existsSync, renameSync, rmSync } = require('node:fs');
const { join } = require('node:path');
const { root } = require('./parallel.js');
const { unpackWheel } = require('./wheel.js');

const folder = join(root, 'build/cuobjdump');
const tools = ['nvdisasm', 'cuobjdump'];

if (existsSync(join(folder, 'cuobjdump'))) {
  console.log(`fetch: ${folder} is there already`);
  process.exit(0);
}
const inside = 'triton/backends/nvidia/bin';
const wheel = unpackWheel(
  folder,
  'triton>=3.6',
  tools.map((tool) => `${inside}/${tool}`),
);
for (const tool of tools) {
  chmodSync(join(folder, inside, tool), 0o755);
  renameSync(join(folder, inside, tool), join(folder, tool));
}
rmSync(join(folder, 'triton'), { recursive: true });
console.log(`fetch: ${tools.join(' and ')} of ${wheel} are in ${folder}`);
