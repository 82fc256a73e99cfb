import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(__dirname, '../..');
const made = new Set([
  '.git',
  'build',
  'coverage',
  'demo-output',
  'mglmm-output',
  'dist',
  'models',
  'node_modules',
  'prebuilds',
  'test/golden',
  'runs',
  'docs/api',
  'bench/results',
]);

function list(folder: string): string[] {
  return readdirSync(join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const path = folder ? `${folder}/${entry.name}` : entry.name;
    if (made.has(path)) return [];
    return entry.isDirectory() ? list(path) : entry.isFile() ? [path] : [];
  });
}

/** Every file of the project that a person wrote, as a path from its root. */
export const files = list('').sort();

export const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** A source without its comments (a // inside a string, as in an address, ends nothing). */
export const codeOf = (path: string): string =>
  read(path)
    .replace(/\/\*[\s\S]*?\*\//g, '')
    .replace(/(^|[^:'"`\w])\/\/.*$/gm, '$1');

/** `kernels/swiglu.h` -> `swiglu` */
export const stemOf = (path: string): string => (path.split('/').at(-1) as string).replace(/\..*$/, '');
