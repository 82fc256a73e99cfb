/** Keeps the plan of docs/architecture.md without anyone's memory. Each gate says how many files it saw and fails on none. */
import { strict as assert } from 'node:assert';
import { spawnSync } from 'node:child_process';
import { describe, test } from '@jest/globals';
import { native } from '../lib/native';
import { codeOf, files, read, stemOf } from './support/tree';

/** A source of the CUDA backend is C++ as well. */
const cpp = /\.(h|cpp|cu|cuh)$/;

/** The files that match, of which there must be some. */
function seen(pattern: RegExp): string[] {
  const found = files.filter((path) => pattern.test(path));
  assert.ok(found.length > 0, `no file matches ${pattern}: the gate sees nothing`);
  return found;
}

function none(complaints: readonly string[]): void {
  assert.equal(complaints.length, 0, `\n  ${complaints.join('\n  ')}\n`);
}

const missing = (paths: readonly string[]) => paths.filter((path) => !files.includes(path)).map((path) => `${path} is missing`);

/** The headers that declare ops, and the names of their ops. */
const headers = seen(/^kernels\/\w+\.h$/)
  .map((path) => ({
    path,
    stem: stemOf(path),
    structs: [...codeOf(path).matchAll(/^struct (\w+) \{(?:(?!^\};)[\s\S])*?MGLMM_OP\((\w+)/gm)].map(([, struct, op]) => ({ struct, op })),
  }))
  .filter(({ path, structs }) => structs.length > 0 && path !== 'kernels/fields.h');
const stems = new Set(headers.map(({ stem }) => stem));
/** They keep what headers of others promise: the backend, cuda/product.h. */
const headless = /^((cpu|cuda)\/backend|cuda\/(cublas|simulator\/product))\.cpp$/;

describe('stems', () => {
  test('an op has a file of its stem in every room', () => {
    assert.ok(headers.length > 0);
    none(
      headers.flatMap(({ stem }) =>
        missing(
          ['kernels/*.cpp', 'cpu/*.cpp', 'cuda/*.cu', 'lib/ops/*.ts', 'test/ops/*.test.ts', 'bench/ops/*.ts'].map((room) =>
            room.replace('*', stem),
          ),
        ),
      ),
    );
  });

  test('a wrapper without a contract calls no native op of its own and has a test', () => {
    const composites = seen(/^lib\/ops\/\w+\.ts$/).filter((path) => !stems.has(stemOf(path)));
    none(
      composites.flatMap((path) => {
        const own = [...codeOf(path).matchAll(/\b(?:call|run)\('(\w+)'/g)].map(([, op]) => op as string);
        const belongs = (op: string) => headers.some(({ structs }) => structs.some((one) => one.op === op));
        return [
          ...missing([`test/ops/${stemOf(path)}.test.ts`]),
          ...own.filter((op) => !belongs(op)).map((op) => `${path} calls ${op}, which has no contract`),
        ];
      }),
    );
  });

  test('a proof and a price are of a wrapper that exists', () =>
    none(seen(/^(test|bench)\/ops\/\w+(\.test)?\.ts$/).flatMap((path) => missing([`lib/ops/${stemOf(path)}.ts`]))));

  test('a file of cpu/ or cuda/ is a keeping of an op, or has a header that says what it offers', () =>
    none(
      seen(/^(cpu|cuda)\/.*\.(cpp|cu)$/)
        .filter((path) => !stems.has(stemOf(path)) && !stems.has(path.split('/')[1] as string) && !headless.test(path))
        .flatMap((path) => missing([path.replace(/\.(cpp|cu)$/, '.h')])),
    ));

  test('CMakeLists.txt lists every source and nothing else', () => {
    const listed = [...read('CMakeLists.txt').matchAll(/^ {2}((?:kernels|cpu|cuda|binding)\/\S+\.(?:cpp|cu))$/gm)].map(
      ([, path]) => path as string,
    );
    const sources = seen(/^(kernels|cpu|cuda|binding)\/.*\.(cpp|cu)$/);
    none([...missing(listed), ...sources.filter((path) => !listed.includes(path)).map((path) => `${path} is not in CMakeLists.txt`)]);
  });

  test('kernels/ops.h has every op, lib/index.ts every wrapper', () => {
    const ops = read('kernels/ops.h');
    const index = read('lib/index.ts');
    none([
      ...headers.filter(({ path }) => !ops.includes(`#include "${path}"`)).map(({ path }) => `kernels/ops.h lacks ${path}`),
      ...headers.flatMap(({ structs }) =>
        structs.filter(({ struct }) => !ops.includes(`X(${struct})`)).map(({ struct }) => `kernels/ops.h lacks X(${struct})`),
      ),
      ...seen(/^lib\/ops\/\w+\.ts$/)
        .filter((path) => !index.includes(`'./ops/${stemOf(path)}'`))
        .map((path) => `lib/index.ts lacks ${path}`),
    ]);
  });
});

describe('commands', () => {
  test('each file that defines one is a line of lib/cli/commands.ts, and the other way round', () => {
    const defined = seen(/^lib\/cli\/\w+\.ts$/).filter((path) => /^export function define\(/m.test(codeOf(path)));
    const listed = [...read('lib/cli/commands.ts').matchAll(/require\('\.\/(\w+)'\)/g)].map(([, stem]) => `lib/cli/${stem}.ts`);
    assert.ok(listed.length > 0);
    assert.equal(listed.sort().join('\n'), defined.sort().join('\n'));
    none(listed.flatMap((path) => missing([`test/cli/${stemOf(path)}.test.ts`])));
  });
});

describe('names of the addon', () => {
  const offered = Object.keys(native.ops);
  const forward = offered.filter((op) => !(op.endsWith('Backward') && offered.includes(op.slice(0, -'Backward'.length))));
  const wrappers = seen(/^lib\/.*\.ts$/).map(codeOf);

  test('are those of the contract', () => {
    const declared = headers.flatMap(({ structs }) => structs.map(({ op }) => op as string));
    assert.equal([...offered].sort().join(), declared.sort().join());
  });

  test('are all used in lib/', () =>
    none(forward.filter((op) => !wrappers.some((code) => code.includes(`'${op}'`))).map((op) => `${op} is offered and never called`)));

  test('are the only ones called in lib/', () =>
    none(
      wrappers
        .flatMap((code) => [...code.matchAll(/\b(?:call|run)\('(\w+)'/g)].map(([, op]) => op as string))
        .filter((op) => !offered.includes(op))
        .map((op) => `${op} is called and not offered`),
    ));
});

/** `what` may be said in `allowed` only, of the files that match `where`. */
const rooms: { api: string; what: RegExp; where: RegExp; allowed: RegExp }[] = [
  { api: 'Napi', what: /\bNapi::|napi\.h/, where: cpp, allowed: /^binding\// },
  { api: 'oneDNN', what: /\bdnnl/, where: cpp, allowed: /^cpu\/onednn\w*\.(h|cpp)$/ },
  { api: 'OpenMP', what: /\bomp_\w+\(|#pragma omp|omp\.h/, where: cpp, allowed: /^cpu\/(parallel\.h|backend\.cpp)$/ },
  { api: 'threads', what: /\bstd::j?thread\b/, where: cpp, allowed: /^(binding|bench)\// },
  {
    api: 'intrinsics',
    what: /\b_mm\d*_|immintrin|__m512|__m256/,
    where: cpp,
    allowed: /^(cpu\/|kernels\/dtype\.h|bench\/probe\.cpp)/,
  },
  { api: 'dlopen', what: /\bdlopen\(/, where: cpp, allowed: /^binding\/backends\.cpp$/ },
  {
    api: 'CUDA runtime',
    what: /\bcuda(Malloc|Free|Memcpy|Memset|Stream|Event|MemPool|SetDevice)\w*\(/,
    where: cpp,
    allowed: /^cuda\/((stream|graph)\.cpp|simulator\/)/,
  },
  { api: 'cuBLAS', what: /\bcublas/i, where: cpp, allowed: /^cuda\/cublas\.cpp$/ },
  { api: 'a bare launch', what: /<<<|\b__shared__\b|\bcudaLaunch/, where: cpp, allowed: /^cuda\/launch\.cuh$/ },
  { api: 'PTX', what: /\basm\b/, where: /^cuda\//, allowed: /^cuda\/(tensor_cores|hopper)\.cuh$/ },
  { api: 'native', what: /\bnative\./, where: /^(lib|examples|bench)\/.*\.ts$/, allowed: /^lib\/(native\.ts|(tensor|autograd|ops)\/)/ },
  { api: 'environment', what: /process\.env/, where: /^lib\//, allowed: /^lib\/(native\.ts|cli\/|service\/server\.ts)/ },
  { api: 'console', what: /\bconsole\./, where: /^lib\//, allowed: /^$/ },
  { api: 'printing', what: /\b(std::(cout|cerr)|f?printf\(|puts\()/, where: cpp, allowed: /^bench\// },
  {
    api: 'exit',
    what: /process\.exit\(|(?<!\.)\b(std::)?(exit|abort)\(\)/,
    where: /^(lib|kernels|cpu|cuda|binding)\//,
    allowed: /^lib\/cli\//,
  },
];

describe('rooms', () => {
  for (const { api, what, where, allowed } of rooms) {
    test(`${api} is at home`, () => {
      const elsewhere = seen(where).filter((path) => !allowed.test(path));
      none(elsewhere.filter((path) => what.test(codeOf(path))).map((path) => `${path} says ${what.exec(codeOf(path))?.[0]}`));
    });
  }
});

/** Lower floors first; folders of one floor do not import each other, but for those that share a line. */
const floors = [
  ['errors'],
  ['abort', 'checks'],
  ['native'],
  ['tensor'],
  ['autograd'],
  ['ops'],
  ['nn'],
  ['image', 'text'],
  ['weights', 'data', 'masks', 'metrics'],
  ['models'],
  ['generate', 'train'],
  ['inference'],
  ['eval', 'annotate'],
  ['service'],
  ['cli'],
  ['index'],
];
/** Typed arrays only, so that they are tested without an addon. */
const withoutTensors = ['abort', 'checks', 'image', 'text', 'data', 'metrics'];
const floorOf = (folder: string) => floors.findIndex((names) => names.includes(folder));

describe('imports', () => {
  test('go downward (types of the floor above may be named)', () => {
    const complaints: string[] = [];
    for (const path of seen(/^lib\/.*\.ts$/)) {
      const room = (path.split('/')[1] as string).replace(/\.ts$/, '');
      if (floorOf(room) < 0) complaints.push(`${path}: ${room} has no floor in test/house.test.ts`);
      for (const [, from] of read(path).matchAll(/^(?:import|export) (?!type )[^;]*? from '(\.[^']*)'/gm)) {
        const parts = path.split('/').slice(0, -1);
        for (const step of (from as string).split('/')) step === '..' ? parts.pop() : step !== '.' && parts.push(step);
        if (parts[0] !== 'lib') complaints.push(`${path} imports ${from}, outside lib/`);
        const target = parts[1] ?? 'index';
        if (target === room) continue;
        if (floorOf(target) >= floorOf(room)) complaints.push(`${path} imports ${from}, which is not below it`);
        if (withoutTensors.includes(room) && !withoutTensors.includes(target) && target !== 'errors') {
          complaints.push(`${path} imports ${from}, but ${room}/ holds no tensors`);
        }
      }
    }
    none(complaints);
  });

  test('of C++ go from the binding and the backend to the contract', () => {
    const may: Record<string, string[]> = {
      kernels: ['kernels'],
      cpu: ['cpu', 'kernels'],
      cuda: ['cuda', 'kernels'],
      binding: ['binding', 'kernels'],
      test: ['cuda'],
      bench: [],
    };
    none(
      seen(cpp).flatMap((path) =>
        [...codeOf(path).matchAll(/#include "([^/"]+)\//g)]
          .filter(([, room]) => !may[path.split('/')[0] as string]?.includes(room as string))
          .map(([line]) => `${path}: ${line}`),
      ),
    );
  });
});

describe('files', () => {
  const code = () => seen(/\.(ts|js|h|cpp|cu|cuh|py)$/);

  test('have at most 400 lines', () => {
    const lines = (path: string) => read(path).split('\n').length - 1;
    none(
      code()
        .filter((path) => lines(path) > 400)
        .map((path) => `${path} has ${lines(path)} lines`),
    );
  });

  test('are named in snake_case, for what they hold', () => {
    const vague = /^(utils?|helpers?|commons?|misc|shared|stuff)$/;
    none(
      code().flatMap((path) =>
        path
          .split('/')
          .map((part) => part.replace(/\..*$/, ''))
          .filter((part) => vague.test(part) || !/^[a-z0-9_]*$/.test(part))
          .map((part) => `${path}: ${part}`),
      ),
    );
  });

  test('hold no gaps and no silenced checks', () => {
    const gap = new RegExp(['TO', 'DO|FIX', 'ME|\\bXX', 'X\\b|@ts-', 'ignore|@ts-', 'nocheck|biome-', 'ignore|#if', ' 0\\b'].join(''));
    none(
      code()
        .filter((path) => gap.test(read(path)))
        .map((path) => `${path}: ${gap.exec(read(path))?.[0]}`),
    );
  });

  test('count live memory only after garbage is collected: what earlier tests left may go at any moment', () => {
    const bodies = seen(/^test\/.*\.test\.ts$/).flatMap((path) =>
      codeOf(path)
        .split(/^ *(?:test|it)\(/m)
        .slice(1)
        .map((body) => ({ path, name: body.split('\n')[0], body })),
    );
    none(
      bodies
        .filter(({ body }) => /\bliveBytes\b/.test(body) && !/\bcollectGarbage\(\)/.test(body))
        .map(({ path, name }) => `${path}: ${name}`),
    );
  });

  test('are written as Biome writes them, configurations as well', () => {
    const { status, stdout, stderr } = spawnSync('node_modules/.bin/biome', ['check', '--error-on-warnings', '.'], { encoding: 'utf8' });
    assert.equal(status, 0, `${stdout}${stderr}`);
    assert.match(stdout + stderr, /Checked \d{3,} files/, 'Biome sees the tree');
  });

  test('of TypeScript never say any', () =>
    none(
      seen(/\.ts$/)
        .filter((path) => /[:<|]\s*any\b|\bas any\b/.test(codeOf(path)))
        .map((path) => path),
    ));
});
