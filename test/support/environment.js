// Jest runs tests in a realm of its own; what the addon makes (errors, promises, typed arrays) comes from the outer one.
// Sharing the classes makes `instanceof` mean in a test what it means to a user.
const { TestEnvironment } = require('jest-environment-node');

const shared = [
  'Error',
  'TypeError',
  'RangeError',
  'Promise',
  'ArrayBuffer',
  'Uint8Array',
  'Uint8ClampedArray',
  'Int8Array',
  'Uint16Array',
  'Int16Array',
  'Uint32Array',
  'Int32Array',
  'Float32Array',
  'Float64Array',
  'BigInt64Array',
  'BigUint64Array',
];

module.exports = class extends TestEnvironment {
  constructor(config, context) {
    super(config, context);
    for (const name of shared) this.global[name] = globalThis[name];
  }
};
