// npm run package:build: dist/ for both module systems. CommonJS by tsc; the ES module passes on what that one exports, so
// a program that mixes both has one addon and one Tensor class.
const { execFileSync } = require('node:child_process');
const { rmSync, writeFileSync } = require('node:fs');
const { join } = require('node:path');
const { root } = require('./parallel.js');

const dist = join(root, 'dist');
rmSync(dist, { recursive: true, force: true });
execFileSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-p', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});

const names = Object.keys(require(join(dist, 'index.js'))).sort();
if (names.length === 0) throw new Error('dist/index.js exports nothing');
writeFileSync(join(dist, 'index.mjs'), `import index from './index.js';\n\nexport const {\n  ${names.join(',\n  ')},\n} = index;\n`);
writeFileSync(join(dist, 'index.d.mts'), `export * from './index.js';\n`);
console.log(`package: dist with ${names.length} exports`);
