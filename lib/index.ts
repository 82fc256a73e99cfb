/** The public API and nothing more. */
export { backward } from './autograd/graph';
export { recompute } from './autograd/recompute';
export * from './errors';
export type { Device, Dtype, MemoryFigures, ReadArray, TypedArray } from './native';
export { convTranspose2d } from './ops/conv_transpose2d';
export { type Conv2dOptions, conv2d } from './ops/conv2d';
export { swiglu } from './ops/swiglu';
export { abortable } from './tensor/abort';
export { noGradients } from './tensor/ambient';
export { backendName, empty, mapFile, memory, resetPeak, setMemoryLimit, synchronize, tensor, trimMemory, upload } from './tensor/create';
export { Scope, tidy } from './tensor/scope';
export { setDebug, Tensor } from './tensor/tensor';
