// Makes a checkout ready to run: system packages, node_modules, the addon. Each step is taken only when it is needed, so
// `npm test` and `npm run demo` begin with it; plain Node, because it runs before anything is installed.
const { spawnSync } = require('node:child_process');
const { createHash } = require('node:crypto');
const { existsSync, lstatSync, readdirSync, readFileSync, realpathSync, renameSync, rmSync, writeFileSync } = require('node:fs');
const { availableParallelism } = require('node:os');
const { basename, join } = require('node:path');
const { underLock } = require('./lock.js');

const root = join(__dirname, '..');
const build = join(root, 'build');
const release = join(build, 'Release');
const stamp = join(build, 'setup.json');
/** What is in `build` and was not built from sources alone: it was fetched, or is another's. */
const kept = ['cublas', 'cuobjdump', 'gpu', 'gpu.tar.xz'];

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

/** Whether the compiler takes these lines. */
const compiles = (lines) => works(process.env.CXX || 'g++', ['-E', '-x', 'c++', '-'], `${lines}\n`);

/** Debian's names of what a build needs and this machine has not. */
function missingPackages() {
  const packages = [];
  const compiler = works(process.env.CXX || 'g++', ['--version']);
  if (!compiler) packages.push('g++');
  if (!works('cmake', ['--version'])) packages.push('cmake');
  if (!works('ninja', ['--version']) && !works('make', ['--version'])) packages.push('make');
  if (!compiler || !compiles('#include <dnnl.hpp>')) packages.push('libdnnl-dev');
  return packages;
}

/** What is there may be of a version that does not do: said here, since a compiler says it in a thousand lines. */
function expectVersions() {
  if (!compiles('#if defined(__GNUC__) && !defined(__clang__) && __GNUC__ < 12\n#error\n#endif'))
    fail('g++ is older than 12; install g++-12, and set CXX=g++-12');
  if (!compiles('#include <dnnl.hpp>\n#if DNNL_VERSION_MAJOR != 2\n#error\n#endif'))
    fail('oneDNN is not of version 2, which the CPU backend is written for; Debian 12 has it: libdnnl-dev');
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

/** Whether a package is for this machine. Optional ones that name no platform come with others, which do. */
function isMeant({ optional, os, cpu, libc }) {
  if (!optional) return true;
  if (!os && !cpu) return false;
  const fits = (list, one) => !list || list.includes(one);
  return fits(os, process.platform) && fits(cpu, process.arch) && fits(libc, 'glibc');
}

/** The first package that package-lock.json asks for, for this machine, and that is not there in its version; undefined: none. */
function missingModule() {
  const folder = join(root, 'node_modules');
  try {
    if (lstatSync(folder).isSymbolicLink()) return undefined; // another checkout's: its owner installs
    const packagesOf = (path) => JSON.parse(readFileSync(path, 'utf8')).packages;
    const installed = packagesOf(join(folder, '.package-lock.json'));
    const wanted = Object.entries(packagesOf(join(root, 'package-lock.json'))).filter(([path]) => path !== '');
    return wanted.find(([path, one]) => (installed[path] ? installed[path].version !== one.version : isMeant(one)))?.[0];
  } catch {
    return 'node_modules';
  }
}

function installModules() {
  say('installing node_modules (npm ci)');
  // Another package manager names itself there.
  const own = process.env.npm_execpath;
  const [npm, ...first] = own && basename(own) === 'npm-cli.js' ? [process.execPath, own] : ['npm'];
  run(npm, [...first, 'ci', '--include=dev', '--include=optional', '--ignore-scripts', '--no-audit', '--no-fund']);
  const missing = missingModule();
  if (missing) fail(`npm ci has left out ${missing}, which package-lock.json asks for on ${process.platform} ${process.arch}`);
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

/** What was built, and the library it was linked to, as they were left. */
function addonIsCurrent() {
  try {
    const { sources, files, libraries } = JSON.parse(readFileSync(stamp, 'utf8'));
    const isThere = ([link, file]) => realpathSync(link) === file;
    return sources === sourceHash() && files.every((name) => existsSync(join(release, name))) && Object.entries(libraries).every(isThere);
  } catch {
    return false; // none, or cut off
  }
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

/** Whether `build` was configured for another folder, or with a library that is gone. */
const isStale = () => cached('CMAKE_HOME_DIRECTORY') !== root || !existsSync(cached('DNNL_LIBRARY') ?? '');

/** Backends that an earlier configuration had: the addon would take them for its own. */
function removeOthers() {
  const levels = cached('MGLMM_CPU_LEVELS')?.split(';') ?? [];
  for (const name of readdirSync(release)) {
    const level = name.match(/^libmglmm_cpu_(.+)\.so$/)?.[1];
    if (level !== undefined && !levels.includes(level)) rmSync(join(release, name));
  }
}

function buildAddon() {
  const packages = missingPackages();
  if (packages.length > 0) installPackages(packages, 'to build the addon');
  expectVersions();
  rmSync(stamp, { force: true }); // until all is built it says nothing
  if (existsSync(build) && isStale())
    for (const name of readdirSync(build)) if (!kept.includes(name)) rmSync(join(build, name), { recursive: true });
  const jobs = availableParallelism();
  say(`building the addon (${jobs} jobs; minutes the first time)`);
  const sources = sourceHash();
  const env = buildEnvironment();
  // A cache is there after a configuration that failed as well.
  if (!['build.ninja', 'Makefile'].some((name) => existsSync(join(build, name))))
    run(process.execPath, [join(root, 'node_modules/cmake-js/bin/cmake-js'), 'configure', '-O', 'build'], { env });
  run('cmake', ['--build', build, '--parallel', String(jobs)], { env });
  removeOthers();
  const files = readdirSync(release).filter((name) => /\.(node|so)$/.test(name));
  const library = cached('DNNL_LIBRARY');
  writeFileSync(`${stamp}.new`, JSON.stringify({ sources, files, libraries: { [library]: realpathSync(library) } }));
  renameSync(`${stamp}.new`, stamp);
}

function setUp() {
  const start = performance.now();
  const [major, minor] = process.versions.node.split('.').map(Number);
  const fits = (major === 20 && minor >= 17) || (major === 22 && minor >= 9) || major > 22;
  if (!fits) fail(`Node is ${process.version}, expected 20.17 or newer, or 22.9 or newer`);
  if (!missingModule() && addonIsCurrent()) return;
  underLock(
    join(root, '.setup/lock'),
    (pid) => say(`waits for another set-up, process ${pid}`),
    () => {
      if (missingModule()) installModules();
      if (!addonIsCurrent()) buildAddon();
    },
  );
  say(`ready after ${((performance.now() - start) / 1000).toFixed(0)} s`);
}

module.exports = { buildEnvironment, installPackages, isStale, setUp, works };
if (require.main === module) setUp();
