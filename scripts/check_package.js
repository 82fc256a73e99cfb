// npm run package:check: packs what would be published, lets publint and attw judge it, installs it into an empty folder
// without running scripts and uses it there: by import, by require, by the example of README.md, by its command.
const { execFileSync } = require('node:child_process');
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { tmpdir } = require('node:os');
const { join } = require('node:path');
const { root } = require('./parallel.js');

const node = (script, ...args) => execFileSync(process.execPath, [join(root, script), ...args], { cwd: root, stdio: 'inherit' });
node('scripts/setup.js');
node('scripts/build_package.js');
node('scripts/prebuild.js');

const folder = mkdtempSync(join(tmpdir(), 'mglmm-package-'));
const npm = (args, cwd) =>
  execFileSync('npm', [...args, '--no-audit', '--no-fund'], { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
try {
  const [packed] = JSON.parse(npm(['pack', '--json', '--pack-destination', folder], root));
  const archive = join(folder, packed.filename);
  console.log(
    `package: ${packed.entryCount} files, ${(packed.size / 1e6).toFixed(1)} MB packed, ${(packed.unpackedSize / 1e6).toFixed(1)} MB unpacked`,
  );
  execFileSync(join(root, 'node_modules/.bin/publint'), ['--strict', archive], { cwd: root, stdio: 'inherit' });
  execFileSync(join(root, 'node_modules/.bin/attw'), [archive], { cwd: root, stdio: 'inherit' });

  writeFileSync(join(folder, 'package.json'), '{"name": "user", "private": true}');
  npm(['install', '--ignore-scripts', '--prefer-offline', archive], folder);
  writeFileSync(
    join(folder, 'user.mjs'),
    `import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import * as imported from 'mglmm';
const required = createRequire(import.meta.url)('mglmm');
const y = imported.swiglu(imported.tensor([1, 2]), required.tensor([3, 4]));
const values = [...(await y.read())].map((value) => value.toFixed(4)).join();
if (values !== '2.1932,7.0464') throw new Error('swiglu gave ' + values);
if (imported.Tensor !== required.Tensor) throw new Error('import and require have a Tensor class each');
if (Object.keys(required).some((name) => imported[name] !== required[name])) throw new Error('import lacks what require has');
const foreign = readFileSync('/proc/self/maps', 'utf8').split('\\n').find((line) => /lib(dnnl|gomp|OpenCL)/.test(line) && !line.includes(process.cwd()));
if (foreign) throw new Error('a library that is shipped was taken from elsewhere: ' + foreign);
console.log('package: installed, ' + imported.backendName());
`,
  );
  writeFileSync(join(folder, 'readme.mjs'), readFileSync(join(root, 'README.md'), 'utf8').match(/```js\n([\s\S]*?)```/)[1]);
  for (const program of ['user.mjs', 'readme.mjs']) {
    // Nothing of this checkout, and no library path, may help.
    execFileSync(process.execPath, [program], { cwd: folder, stdio: 'inherit', env: { PATH: process.env.PATH } });
  }
  const version = execFileSync(join(folder, 'node_modules/.bin/mglmm'), ['--version'], { cwd: folder, encoding: 'utf8' });
  console.log(`package: the command mglmm ${version.trim()} runs`);
} finally {
  rmSync(folder, { recursive: true });
}
