// Makes a checkout ready to run: system packages, node_modules, the addon. Each step is taken only when it is needed, so
// `npm test` and `npm run demo` begin with it; plain Node, because it runs before anything is installed.
const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const { availableParallelism } = require('node:os');
const { join } = require('node:path');

const root = join(__dirname, '..');
const build = join(root, 'build');
const stamp = join(build, 'setup.json');

const say = (text) => console.log(`setup: ${text}`);

function fail(text) {
  console.error(`setup: ${text}`);
  process.exit(1);
}

/** The beginning and the end of a long output: causes are at the one of npm's, at the other of a compiler's. */
function excerpt(output) {
  const lines = output.trimEnd().split('\n');
  return (lines.length <= 60 ? lines : [...lines.slice(0, 15), '...', ...lines.slice(-40)]).join('\n');
}

/** Runs quietly; on failure shows what it printed. */
function run(command, args, options = {}) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: root, encoding: 'utf8', maxBuffer: 1 << 28, ...options });
  if (status === 0) return true;
  const output = error ? error.message : excerpt(`${stdout}${stderr}`);
  if (!options.mayFail) fail(`${command} ${args.join(' ')} failed:\n${output}`);
  return false;
}

const works = (command, args, input) => spawnSync(command, args, { input, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0;

/** Debian's names of what a build needs and this machine has not. */
function missingPackages() {
  const packages = [];
  const compiler = works('g++', ['--version']);
  if (!compiler) packages.push('g++');
  if (!works('cmake', ['--version'])) packages.push('cmake');
  if (!works('ninja', ['--version']) && !works('make', ['--version'])) packages.push('make');
  if (!compiler || !works('g++', ['-E', '-x', 'c++', '-'], '#include <dnnl.hpp>\n')) packages.push('libdnnl-dev');
  return packages;
}

/** Packages by apt where that is allowed; else the line that installs them. Also used by scripts/lint.js. */
function installPackages(packages, why) {
  const line = `apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  const allowed = process.getuid?.() === 0 && works('apt-get', ['--version']);
  if (!allowed) fail(`${packages.join(', ')} missing, ${why}; install with:\n  sudo ${line}`);
  say(`installing ${packages.join(', ')} (apt-get)`);
  const options = { env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' } };
  const [command, ...args] = line.split(' ');
  if (run(command, args, { ...options, mayFail: true })) return;
  run('apt-get', ['update'], options); // the lists of a fresh machine are absent or old
  run(command, args, options);
}

/** Every package that package-lock.json asks for is there in its version; those for other platforms are optional. */
function modulesAreCurrent() {
  const folder = join(root, 'node_modules');
  try {
    if (lstatSync(folder).isSymbolicLink()) return true; // another checkout's: its owner installs
    const packagesOf = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;
    const installed = packagesOf(join(folder, '.package-lock.json'));
    return Object.entries(packagesOf(join(root, 'package-lock.json'))).every(
      ([path, { version, optional }]) => path === '' || (installed[path] ? installed[path].version === version : optional),
    );
  } catch {
    return false;
  }
}

function installModules() {
  say('installing node_modules (npm ci)');
  const npm = process.env.npm_execpath ? [process.execPath, process.env.npm_execpath] : ['npm'];
  run(npm[0], [...npm.slice(1), 'ci', '--ignore-scripts', '--no-audit', '--no-fund']);
}

function sourcesIn(path) {
  return readdirSync(join(root, path)).flatMap((name) => {
    const inside = `${path}/${name}`;
    if (/\.(cpp|h|cu|cuh)$/.test(name)) return [inside];
    return lstatSync(join(root, inside)).isDirectory() ? sourcesIn(inside) : [];
  });
}

/** Of everything the addon is made from. */
function sourceHash() {
  const hash = createHash('sha1');
  const headers = ['node-addon-api', 'node-api-headers'].map((name) => `node_modules/${name}/package.json`);
  for (const path of ['CMakeLists.txt', ...headers, ...['binding', 'cpu', 'cuda', 'kernels'].flatMap(sourcesIn)]) {
    hash.update(path).update(readFileSync(join(root, path)));
  }
  return hash.digest('hex');
}

function addonIsCurrent() {
  if (!existsSync(join(build, 'Release/mglmm.node')) || !existsSync(stamp)) return false;
  const { sources, libraries } = JSON.parse(readFileSync(stamp, 'utf8'));
  return sources === sourceHash() && libraries.every((path) => existsSync(path));
}

/** Value of a variable in the cache of the configured build. */
function cached(variable) {
  const cache = join(build, 'CMakeCache.txt');
  if (!existsSync(cache)) return undefined;
  return readFileSync(cache, 'utf8').match(new RegExp(`^${variable}:[A-Z]+=(.*)$`, 'm'))?.[1];
}

/** With ccache, where it is present. */
function buildEnvironment() {
  const env = { ...process.env };
  if (works('ccache', ['--version'])) {
    env.CMAKE_CXX_COMPILER_LAUNCHER ??= 'ccache';
    env.CCACHE_BASEDIR ??= root;
  }
  return env;
}

function buildAddon() {
  const packages = missingPackages();
  if (packages.length > 0) installPackages(packages, 'to build the addon');
  // A folder that was moved, or lost a library it was configured with, is configured again.
  const stale = cached('CMAKE_HOME_DIRECTORY') !== root || !existsSync(cached('DNNL_LIBRARY') ?? '');
  if (existsSync(build) && stale) rmSync(build, { recursive: true });
  const jobs = availableParallelism();
  say(`building the addon (${jobs} jobs; minutes the first time)`);
  const sources = sourceHash();
  const env = buildEnvironment();
  if (!existsSync(join(build, 'CMakeCache.txt'))) {
    run(process.execPath, [join(root, 'node_modules/cmake-js/bin/cmake-js'), 'configure', '-O', 'build'], { env });
  }
  run('cmake', ['--build', build, '--parallel', String(jobs)], { env });
  mkdirSync(build, { recursive: true });
  writeFileSync(stamp, JSON.stringify({ sources, libraries: [cached('DNNL_LIBRARY')] }));
}

function setUp() {
  const start = performance.now();
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 17)) fail(`Node is ${process.version}, expected 20.17 or newer`);
  let worked = false;
  if (!modulesAreCurrent()) {
    installModules();
    worked = true;
  }
  if (!addonIsCurrent()) {
    buildAddon();
    worked = true;
  }
  if (worked) say(`ready after ${((performance.now() - start) / 1000).toFixed(0)} s`);
}

module.exports = { buildEnvironment, installPackages, works };
if (require.main === module) setUp();
