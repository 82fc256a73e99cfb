// npm run package:prebuild: prebuilds/PLATFORM-ARCH with the addon, its backends and the libraries they need that a
// machine may lack (oneDNN, and what oneDNN needs), so that `npm install` needs neither a compiler nor apt.
const { execFileSync } = require('node:child_process');
const { copyFileSync, existsSync, mkdirSync, readdirSync, realpathSync, rmSync } = require('node:fs');
const { join } = require('node:path');
const { root } = require('./parallel.js');

const folder = join(root, 'prebuilds', `${process.platform}-${process.arch}`);
const levels = process.arch === 'x64' ? ['x86-64-v2', 'x86-64-v3', 'x86-64-v4', 'x86-64-v4-bf16'] : ['generic'];
// SONAME -> Debian package, whose licence goes along.
const shipped = { 'libdnnl.so.2': 'libdnnl2', 'libOpenCL.so.1': 'ocl-icd-libopencl1', 'libgomp.so.1': 'libgomp1' };

rmSync(folder, { recursive: true, force: true });
const arguments_ = ['--napi', '--strip', '--tag-libc', '--name', 'mglmm.napi', '--node-gyp=./scripts/cmake_js_shim.js'];
execFileSync(join(root, 'node_modules/.bin/prebuildify'), arguments_, { cwd: root, stdio: 'inherit' });

const backends = levels.map((level) => `libmglmm_cpu_${level}.so`);
for (const name of backends) if (!existsSync(join(folder, name))) throw new Error(`${name} was not built; npm run clean, then again`);
// Libraries that tests and the script for GPUs have put beside them.
for (const name of readdirSync(folder))
  if (/\.so(\.|$)/.test(name) && ![...backends, 'libmglmm_cuda.so'].includes(name)) rmSync(join(folder, name));

/** Where the dynamic linker finds the libraries of a backend: lines such as `libgomp.so.1 => /lib/.../libgomp.so.1 (0x...)`. */
const linked = execFileSync('ldd', [join(root, 'build/Release', `libmglmm_cpu_${levels[0]}.so`)], { encoding: 'utf8' });
mkdirSync(join(folder, 'licenses'));
for (const [name, debian] of Object.entries(shipped)) {
  const path = linked.match(new RegExp(`${name.replaceAll('.', '\\.')} => (\\S+)`))?.[1];
  if (!path) throw new Error(`a backend does not need ${name}, expected ${Object.keys(shipped).join(', ')}`);
  copyFileSync(realpathSync(path), join(folder, name));
  copyFileSync(`/usr/share/doc/${debian}/copyright`, join(folder, 'licenses', debian));
}
console.log(`prebuild: ${readdirSync(folder).join(', ')}`);
