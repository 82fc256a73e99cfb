/** The set-up of a checkout, on a small project that is built as this one is. */
import { strict as assert } from 'node:assert';
import { spawn, spawnSync } from 'node:child_process';
import { appendFileSync, copyFileSync, existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, test } from '@jest/globals';
import { temporaryFolder } from '../support/weights';

const root = join(__dirname, '../..');
const folder = temporaryFolder();
afterAll(() => folder[Symbol.dispose]());

const at = (path: string) => join(folder.path, path);
const write = (path: string, text: string) => {
  mkdirSync(join(at(path), '..'), { recursive: true });
  writeFileSync(at(path), text);
};
const library = (level: string) => at(`build/Release/libmglmm_cpu_${level}.so`);
const has = (level: string, text: string) => readFileSync(library(level), 'latin1').includes(text);
const says = (version: string) => write('cpu/says.cpp', `extern "C" const char* says() { return "version-${version}"; }\n`);

function setUp(): { status: number | null; out: string } {
  const { status, stdout, stderr } = spawnSync(process.execPath, [at('scripts/setup.js')], { encoding: 'utf8' });
  return { status, out: stdout + stderr };
}
const builds = () => {
  const { status, out } = setUp();
  assert.equal(status, 0, out);
  assert.match(out, /^setup: building the addon .*\nsetup: ready after \d+ s\n$/);
};
const findsAllInPlace = () => assert.deepEqual(setUp(), { status: 0, out: '' });

beforeAll(() => {
  write('package.json', '{ "name": "small", "version": "1.0.0" }');
  write('package-lock.json', '{ "packages": {} }');
  write('node_modules/.package-lock.json', '{ "packages": {} }');
  for (const name of ['cmake-js', 'node-addon-api', 'node-api-headers'])
    symlinkSync(join(root, 'node_modules', name), at(`node_modules/${name}`));
  for (const name of ['setup.js', 'lock.js']) {
    mkdirSync(at('scripts'), { recursive: true });
    copyFileSync(join(root, 'scripts', name), at(`scripts/${name}`));
  }
  write(
    'CMakeLists.txt',
    `cmake_minimum_required(VERSION 3.18)
project(mglmm LANGUAGES CXX)
set(MGLMM_CPU_LEVELS "low;high" CACHE STRING "")
find_library(DNNL_LIBRARY dnnl REQUIRED)
add_library(mglmm SHARED binding/addon.cpp)
set_target_properties(mglmm PROPERTIES PREFIX "" SUFFIX ".node")
foreach(level \${MGLMM_CPU_LEVELS})
  add_library(mglmm_cpu_\${level} MODULE cpu/says.cpp)
endforeach()
if(TARGET mglmm_cpu_high)
  target_sources(mglmm_cpu_high PRIVATE cpu/high.cpp)
  add_dependencies(mglmm_cpu_high mglmm_cpu_low) # so that one is linked before the other fails
endif()
`,
  );
  write('binding/addon.cpp', 'int addon() { return 1; }\n');
  write('cpu/high.cpp', 'int high() { return 1; }\n');
  for (const name of ['cuda', 'kernels']) write(`${name}/empty.h`, '');
  says('A');
  builds();
});

describe('set-up', () => {
  test('does nothing where all is in place', findsAllInPlace);

  test('builds again after a build that failed, though the sources are those of before', () => {
    says('B');
    appendFileSync(at('cpu/high.cpp'), '#error\n');
    const { status, out } = setUp();
    assert.equal(status, 1);
    assert.match(out, /^setup: cmake --build .* failed:$/m);
    assert.ok(has('low', 'version-B') && has('high', 'version-A'));
    says('A');
    write('cpu/high.cpp', 'int high() { return 1; }\n');
    builds();
    assert.ok(has('low', 'version-A') && has('high', 'version-A'));
    findsAllInPlace();
  });

  test('builds what is missing, and where its own record was cut off or a configuration failed', () => {
    rmSync(library('high'));
    builds();
    assert.ok(existsSync(library('high')));
    writeFileSync(at('build/setup.json'), '');
    builds();
    for (const name of ['build.ninja', 'Makefile', 'setup.json']) rmSync(at(`build/${name}`), { force: true });
    builds();
    findsAllInPlace();
  });

  test('takes away backends that the configuration no longer names', () => {
    const { status, stderr } = spawnSync('cmake', ['-S', folder.path, '-B', at('build'), '-DMGLMM_CPU_LEVELS=low'], { encoding: 'utf8' });
    assert.equal(status, 0, stderr);
    says('C');
    builds();
    assert.ok(has('low', 'version-C') && !existsSync(library('high')));
  });

  test('configures anew what is of another folder, and keeps what was fetched', () => {
    write('build/cublas/include/cublasLt.h', '');
    const cache = readFileSync(at('build/CMakeCache.txt'), 'utf8');
    writeFileSync(at('build/CMakeCache.txt'), cache.replace(/^(CMAKE_HOME_DIRECTORY:INTERNAL=).*$/m, '$1/elsewhere'));
    says('D');
    builds();
    assert.ok(has('low', 'version-D') && has('high', 'version-D') && existsSync(at('build/cublas/include/cublasLt.h')));
  });

  test('waits for another one that is at work', async () => {
    says('E');
    const runs = await Promise.all(
      [0, 1].map(
        () =>
          new Promise<{ code: number | null; out: string }>((resolve) => {
            const child = spawn(process.execPath, [at('scripts/setup.js')]);
            let out = '';
            for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (out += text));
            child.on('close', (code) => resolve({ code, out }));
          }),
      ),
    );
    for (const { code, out } of runs) assert.equal(code, 0, out);
    const outputs = runs.map(({ out }) => out);
    assert.equal(outputs.filter((out) => out.includes('building the addon')).length, 1, outputs.join('\n'));
    assert.ok(has('low', 'version-E') && has('high', 'version-E'));
    findsAllInPlace();
  });

  test('takes the place of one that was killed', () => {
    const gone = spawnSync(process.execPath, ['-e', '']).pid;
    write('.setup/lock', String(gone));
    says('F');
    builds();
    assert.ok(has('high', 'version-F') && !existsSync(at('.setup/lock')));
  });

  test('says which package npm has left out', () => {
    const platform = { version: '1.0.0', optional: true, os: [process.platform], cpu: [process.arch] };
    write(
      'package-lock.json',
      JSON.stringify({ packages: { 'node_modules/ours': platform, 'node_modules/theirs': { ...platform, os: ['else'] } } }),
    );
    const npm = at('npm-cli.js');
    writeFileSync(npm, '');
    const { status, stderr } = spawnSync(process.execPath, [at('scripts/setup.js')], {
      encoding: 'utf8',
      env: { ...process.env, npm_execpath: npm },
    });
    assert.equal(status, 1);
    assert.match(stderr, /^setup: npm ci has left out node_modules\/ours, which package-lock\.json asks for on /m);
  });
});
