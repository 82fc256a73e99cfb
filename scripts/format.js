// npm run format: Biome over TypeScript and JavaScript, clang-format over C++, in place.
const { execFileSync } = require('node:child_process');
const { join } = require('node:path');
const { root } = require('./parallel.js');
const { installPackages, works } = require('./setup.js');

if (!works('clang-format-14', ['--version'])) installPackages(['clang-format-14'], 'to format C++');
const files = execFileSync('git', ['ls-files', '*.h', '*.cpp', '*.cu', '*.cuh'], { cwd: root, encoding: 'utf8' })
  .split('\n')
  .filter(Boolean);
execFileSync('clang-format-14', ['-i', ...files], { cwd: root, stdio: 'inherit' });
execFileSync(join(root, 'node_modules/.bin/biome'), ['check', '--write', '.'], { cwd: root, stdio: 'inherit' });
