// Gets a wheel through pip, wherever it is set up to look, and unpacks it into a folder.
const { execFileSync } = require('node:child_process');
const { mkdirSync, readdirSync, rmSync } = require('node:fs');
const { join } = require('node:path');

const python = process.env.MGLMM_PYTHON ?? 'python3';

/**
 * @param folder - emptied before.
 * @param requirement - as pip has it, `nvidia-cublas==13.*`.
 * @param members - paths within the wheel; default all.
 * @returns the file name of the wheel.
 */
function unpackWheel(folder, requirement, members = []) {
  const run = (...args) => execFileSync(python, args, { cwd: folder, stdio: ['ignore', 'inherit', 'inherit'] });
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  run('-m', 'pip', 'download', '--no-deps', '--only-binary=:all:', '-d', '.', requirement);
  const wheel = readdirSync(folder).find((name) => name.endsWith('.whl'));
  if (!wheel) throw new Error(`pip downloaded no wheel of ${requirement}`);
  run('-c', 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(".", sys.argv[2:] or None)', wheel, ...members);
  rmSync(join(folder, wheel));
  return wheel;
}

module.exports = { unpackWheel };
