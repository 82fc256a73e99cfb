#!/usr/bin/env node
// What prebuildify calls in place of node-gyp: it passes node-gyp's arguments, which cmake-js does not understand. The
// addon is built as for every other use, and so not at all when it is there.
const { spawnSync } = require('node:child_process');
const { join } = require('node:path');

process.exit(spawnSync(process.execPath, [join(__dirname, 'setup.js')], { stdio: 'inherit' }).status ?? 1);
