// npm run lint [-- --changed]: Biome over TypeScript and JavaScript, clang-format and clang-tidy over C++. `--changed` looks
// at the C++ files that differ from main only. Exits with 1 on any finding and prints them all.
const { execFileSync, spawnSync } = require('node:child_process');
const { existsSync, mkdirSync, readFileSync, writeFileSync } = require('node:fs');
const { join, relative } = require('node:path');
const { root, run, runAll } = require('./parallel.js');
const { installPackages, works } = require('./setup.js');

const folder = join(root, 'build/lint');
const changedOnly = process.argv.includes('--changed');

const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).split('\n').filter(Boolean);

function sources() {
  const tracked = git('ls-files', '--cached', '--others', '--exclude-standard', '*.h', '*.cpp', '*.cu', '*.cuh').filter((path) =>
    existsSync(join(root, path)),
  );
  if (tracked.length === 0) throw new Error('no C++ file was found to check');
  if (!changedOnly) return tracked;
  const changed = new Set([...git('diff', '--name-only', 'main'), ...git('ls-files', '--others', '--exclude-standard')]);
  return tracked.filter((path) => changed.has(path));
}

/**
 * Each file once, with the flags of its best level. Clang 14 is given what it lacks of GCC 12: omp.h, the names of the
 * x86-64 levels, __builtin_shuffle; and not the flags it does not know.
 */
function writeCompileCommands() {
  const all = JSON.parse(readFileSync(join(root, 'build/compile_commands.json'), 'utf8'));
  const include = join(folder, 'include');
  mkdirSync(include, { recursive: true });
  const header = execFileSync('g++', ['-print-file-name=include/omp.h'], { encoding: 'utf8' }).trim();
  writeFileSync(join(include, 'omp.h'), readFileSync(header, 'utf8').replace(/__malloc__ \(\w+\)/g, '__malloc__'));
  const byFile = new Map();
  for (const entry of all) {
    const command = entry.command
      .replace(/^\S*ccache\s+/, '')
      .replace(/ -Wno-(restrict|maybe-uninitialized)\b/g, '')
      .replace(/ -fopenmp\b/, ` -fopenmp -isystem ${include}`)
      .replace(/ -c /, " '-D__builtin_cpu_supports(level)=true' '-D__builtin_shuffle(a,b,lanes)=((lanes)[0]?(a):(b))' -c ");
    byFile.set(relative(root, entry.file), { ...entry, command });
  }
  writeFileSync(join(folder, 'compile_commands.json'), JSON.stringify([...byFile.values()]));
  return new Set(byFile.keys());
}

async function main() {
  const tools = ['clang-format-14', 'clang-tidy-14'].filter((tool) => !works(tool, ['--version']));
  if (tools.length > 0) installPackages(tools, 'to check C++');
  if (spawnSync(process.execPath, [join(__dirname, 'setup.js')], { stdio: 'inherit' }).status !== 0) process.exit(1);

  const files = sources();
  const known = writeCompileCommands();
  // A build for the simulator lists CUDA sources too; clang 14 has no std::source_location, which the simulator needs.
  const compiled = files.filter((file) => known.has(file) && !/^(test\/)?cuda\//.test(file));
  const steps = {
    biome: () => run(join(root, 'node_modules/.bin/biome'), ['check', '--error-on-warnings', '.']),
    'clang-format': () => run('clang-format-14', ['--dry-run', '-Werror', ...files]),
    'clang-tidy': () => runAll(compiled, (file) => ['clang-tidy-14', ['--quiet', '-p', folder, file]]),
  };
  let failed = 0;
  for (const [name, check] of Object.entries(steps)) {
    const start = performance.now();
    const count = name === 'biome' ? '' : ` ${name === 'clang-tidy' ? compiled.length : files.length} files,`;
    const { passed, output } = count.startsWith(' 0') ? { passed: true, output: '' } : await check();
    if (!passed) {
      failed++;
      console.log(output);
    }
    console.log(`lint: ${name}${count} ${((performance.now() - start) / 1000).toFixed(1)} s, ${passed ? 'passed' : 'FAILED'}`);
  }
  if (failed > 0) process.exit(1);
}

void main();
