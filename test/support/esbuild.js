// Turns TypeScript into what jest runs where there is no SWC: in the bundle for a GPU (scripts/gpu_check.sh), which has esbuild for tsx.
const { transformSync } = require('esbuild');

module.exports = {
  process: (source, path) =>
    transformSync(source, { loader: 'ts', format: 'cjs', target: 'es2022', sourcefile: path, sourcemap: 'inline' }),
};
