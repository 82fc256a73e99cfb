/** Sizes of a decoder in which no two are the same, and heads share keys and values. */
export const tiny = {
  vocabSize: 31,
  dim: 24,
  mlpDim: 40,
  depth: 2,
  heads: 6,
  kvHeads: 2,
  headDim: 4,
  eps: 1e-5,
  ropeBase: 10000,
  context: 64,
  tiedHead: false,
};
