// npm run package:check: packs what would be published, lets publint and attw judge it, installs it into an empty folder
// without running scripts and uses it there: by import, by require, by the examples of README.md and docs/tensors.md, by its
// command. Models are asked that have the weights of the goldens.
const { execFileSync } = require('node:child_process');
const { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
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
  // Nothing of this checkout, and no library path, may help.
  const alone = { cwd: folder, env: { PATH: process.env.PATH } };
  const exampleOf = (path) => readFileSync(join(root, path), 'utf8').match(/```js\n([\s\S]*?)```/)[1];
  writeFileSync(join(folder, 'readme.mjs'), exampleOf('README.md'));
  writeFileSync(join(folder, 'tensors.mjs'), exampleOf('docs/tensors.md'));
  const script = `const { mglmmGoldens } = require('./test/support/mglmm_golden');
    const made = require('./test/support/tiny_model').tinyModel(mglmmGoldens()[0]);
    require('node:fs').cpSync(made.path, process.argv[1], { recursive: true, dereference: true });
    made[Symbol.dispose]();`;
  execFileSync(process.execPath, ['--require', 'tsx/cjs', '--eval', script, join(folder, 'model')], { cwd: root, stdio: 'inherit' });
  copyFileSync(join(root, 'test/golden/image/images/photo_110x150.png'), join(folder, 'photo.png'));
  const asked = ['model', 'photo.png', 'Where is it?'];
  for (const program of [['user.mjs'], ['tensors.mjs'], ['readme.mjs', ...asked]]) {
    execFileSync(process.execPath, program, { ...alone, stdio: 'inherit' });
  }
  if (!existsSync(join(folder, 'overlay.png'))) throw new Error('the example of README.md drew no overlay.png');

  const mglmm = (...args) => execFileSync(join(folder, 'node_modules/.bin/mglmm'), args, { ...alone, encoding: 'utf8' });
  console.log(`package: the command mglmm ${mglmm('--version').trim()} runs`);
  const times = Array.from({ length: 5 }, () => {
    const beganMs = performance.now();
    if (!/^ {2}answer /m.test(mglmm('--help'))) throw new Error('mglmm --help does not list its commands');
    return performance.now() - beganMs;
  });
  console.log(`package: mglmm --help takes ${Math.min(...times).toFixed(0)} ms`);
  if (!JSON.parse(mglmm('doctor', '--json', '--model', 'model')).ready) throw new Error('mglmm doctor finds something missing');
  const { text } = JSON.parse(mglmm('answer', 'photo.png', 'Where is it?', '--model', 'model', '--json'));
  if (typeof text !== 'string') throw new Error('mglmm answer gave no text');
  mglmm('scenes', '--out', 'scenes', '--count', '1', '--split', 'test');
  const own = JSON.parse(mglmm('answer', 'scenes/images/test-0-0.png', 'What is in this picture?', '--json')).text;
  if (!/^[A-Z].{10,}\.$/.test(own)) throw new Error(`the model that comes with the package says ${JSON.stringify(own)}`);
} finally {
  rmSync(folder, { recursive: true });
}
