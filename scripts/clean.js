// npm run clean: removes everything that was built. node_modules stay.
const { rmSync } = require('node:fs');
const { join } = require('node:path');

for (const folder of ['build', 'dist', 'prebuilds', 'coverage', 'demo-output', 'docs/api']) {
  rmSync(join(__dirname, '..', folder), { recursive: true, force: true });
}
