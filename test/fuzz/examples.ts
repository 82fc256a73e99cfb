/** One small valid call of every op, with its gradient: where the fuzz test starts from. */
import * as m from '../../lib';
import { randn } from '../support/data';

const x = (...shape: number[]) => randn(shape, 3);
const leaf = (...shape: number[]) => Object.assign(randn(shape, 4), { requiresGrad: true });
const ids = (...values: number[]) => m.tensor(values, [values.length], 'i32');
const bytes = (shape: number[]) =>
  m.tensor(
    Uint8Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => i % 2),
    shape,
  );
/** Backward of the sum of `y`, through the op. */
const back = (y: m.Tensor) => m.backward(y, m.ones(y.shape, y.dtype));

export const examples: Record<string, () => unknown> = {
  adamw: () => m.adamw({ params: [x(3)], grads: [x(3)], expAvg: [x(3)], expAvgSq: [m.ones([3])], norm: m.ones([]), lr: 0.1, step: 1 }),
  clipGradients: () => m.clipGradients([x(3), x(2, 2)], m.gradNorm([x(3), x(2, 2)])),
  gatherRows: () => back(m.gatherRows(leaf(4, 3), ids(0, 2, 2))),
  gelu: () => back(m.gelu(leaf(2, 3))),
  layerNorm: () => back(m.layerNorm(leaf(2, 5), leaf(5), leaf(5))),
  layerNorm2d: () => back(m.layerNorm2d(leaf(1, 3, 2, 2), leaf(3), leaf(3))),
  quantizedLinear: () => {
    for (const kind of ['int8', 'int4'] as const) {
      const quantized = m.quantize(x(3, 5), kind);
      m.dequantize(quantized);
      back(m.quantizedLinear(leaf(2, 5), quantized, x(3)));
    }
  },
  quickGelu: () => back(m.quickGelu(leaf(2, 3))),
  randomNormal: () => m.randomNormal([2, 3], { seed: 1 }),
  randomUniform: () => m.randomUniform([2, 3], { seed: 1 }),
  relu: () => back(m.relu(leaf(2, 3))),
  rleDecode: () => m.rleDecode(ids(6, 10, 0, 16), ids(2, 2), { height: 4, width: 4 }),
  rleEncode: () => m.rleEncode(bytes([2, 4, 4]), { maxRuns: 20 }),
  rmsNorm: () => {
    back(m.rmsNorm(leaf(2, 5), leaf(5)));
    const { sum, y } = m.addRmsNorm(leaf(2, 5), leaf(2, 5), leaf(5));
    back(m.add(sum, y));
  },
  rope: () => back(m.rope(leaf(1, 2, 3, 8), m.tensor([0, 1, 7], [1, 3], 'i32'))),
  samAttention: () =>
    back(m.samAttention(leaf(1, 2, 6, 8), leaf(1, 2, 6, 8), leaf(1, 2, 6, 8), leaf(3, 8), leaf(5, 8), { height: 2, width: 3 })),
  samAttentionPacked: () => {
    back(m.samAttentionPacked(leaf(1, 6, 48), leaf(3, 8), leaf(5, 8), { heads: 2, height: 2, width: 3 }));
    const windows = { heads: 2, height: 2, width: 3, window: 2, padding: leaf(48) };
    back(m.samAttentionPacked(leaf(1, 6, 48), leaf(3, 8), leaf(3, 8), windows));
  },
  sampleToken: () =>
    m.sampleToken(x(2, 5), { topK: 3, topP: 0.9, previous: m.reshape(ids(0, 1), [2, 1]), repetitionPenalty: 1.1, seed: 3 }),
  softmax: () => back(m.softmax(leaf(2, 5))),
  add: () => back(m.add(leaf(2, 3), leaf(3))),
  argmax: () => m.argmax(x(2, 5)),
  attention: () => back(m.attention(leaf(1, 4, 3, 8), leaf(1, 2, 5, 8), leaf(1, 2, 5, 8), { causal: true })),
  attentionCached: () => {
    const [q, cache, pages] = [() => x(1, 2, 3, 8), () => x(1, 2, 9, 8), () => x(2, 2, 64, 8)];
    m.attentionCached(q(), q(), q(), cache(), cache(), ids(4), { ropeBase: 10 });
    m.attentionCached(q(), q(), q(), pages(), pages(), ids(62), { pageTable: m.reshape(ids(1, 0), [1, 2]) });
  },
  bilinear: () => back(m.bilinear(leaf(1, 2, 3, 4), 5, 6)),
  cast: () => back(m.cast(leaf(2, 3), 'bf16')),
  concat: () => back(m.concat([leaf(2, 3), leaf(1, 3)], 0)),
  conv2d: () => back(m.conv2d(leaf(1, 2, 4, 4), leaf(3, 2, 3, 3), { bias: leaf(3), padding: 1 })),
  convTranspose2d: () => back(m.convTranspose2d(leaf(1, 2, 3, 3), leaf(2, 3, 2, 2), leaf(3))),
  copy: () => back(m.copy(leaf(2, 3))),
  crossEntropy: () => m.backward(m.crossEntropy(leaf(2, 5), ids(0, 2)).loss),
  dropout: () => back(m.dropout(leaf(2, 3), 0.5, 7)),
  embedding: () => back(m.embedding(leaf(4, 3), ids(0, 2, 2))),
  fill: () => m.full([2, 3], 1),
  fourierEncoding: () => m.fourierEncoding(x(3, 2), x(2, 4)),
  linear: () => {
    back(m.linear(leaf(2, 5), leaf(3, 5), leaf(3)));
    back(m.linear(leaf(2, 5), m.pack(x(3, 5)), x(3), { residual: leaf(2, 3) }));
  },
  linearCrossEntropy: () => m.backward(m.linearCrossEntropy(leaf(3, 4), leaf(5, 4), ids(0, 4, -100)).loss),
  loraLinear: () => back(m.loraLinear(leaf(2, 5), leaf(3, 5), leaf(2, 5), leaf(3, 2), { bias: leaf(3), xDropped: leaf(2, 5) })),
  addLoraByRow: () => m.addLoraByRow(x(2, 3), x(2, 5), { loraA: [x(2, 5)], loraB: [x(3, 2)], scalings: [2], adapters: [-1, 0] }),
  mergeLora: () => m.mergeLora(x(3, 5), x(2, 5), x(3, 2), 2),
  maskBits: () => m.maskBits(x(2, 1, 4, 4), { inputSize: 16, resized: [12, 16], original: [9, 70] }),
  maskIntersections: () => m.maskIntersections(m.packBits(bytes([2, 4, 4])), m.packBits(bytes([3, 4, 4]))),
  maskLoss: () => {
    const { bce, dice } = m.maskLoss(leaf(2, 3, 4), bytes([2, 3, 4]));
    m.backward(m.add(bce, dice));
  },
  matmul: () => back(m.matmul(leaf(2, 3, 4), leaf(2, 4, 5))),
  mul: () => back(m.mul(leaf(2, 3), leaf(3))),
  preprocessImage: () =>
    m.preprocessImage(bytes([4, 5, 3]), {
      resized: [3, 7],
      filter: 'bicubic',
      top: 1,
      left: 2,
      height: 4,
      width: 3,
      mean: [1, 2, 3],
      std: [1, 2, 3],
    }),
  pack: () => m.unpack(m.pack(x(3, 5))),
  permute: () => back(m.permute(leaf(2, 3, 4), [2, 0, 1])),
  scale: () => back(m.scale(leaf(2, 3), 2, 1)),
  slice: () => back(m.slice(leaf(2, 3), 1, 0, 2)),
  spliceRows: () => back(m.spliceRows(leaf(2, 3, 4), leaf(2, 2, 4), ids(0, 2))),
  sum: () => back(m.sum(leaf(2, 3), [1])),
  swiglu: () => back(m.swiglu(leaf(2, 3), leaf(2, 3))),
  topK: () => m.topK(x(2, 5), 2),
  upscaleMasks: () => {
    const weights = { weight1: x(3, 4, 2, 2), bias1: x(4), normWeight: x(4), normBias: x(4), weight2: x(4, 2, 2, 2), bias2: x(2) };
    m.upscaleMasks(x(2, 6, 3), weights, x(2, 1, 2), { width: 3 });
    back(m.upscaleMasks(leaf(2, 6, 3), weights, leaf(2, 1, 2), { width: 3 }));
  },
  windowPartition: () => back(m.windowUnpartition(m.windowPartition(leaf(1, 3, 5, 4), 2, leaf(4)), 3, 5)),
};
