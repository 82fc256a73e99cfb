#include "kernels/upscale_masks.h"

#include "kernels/check.h"

namespace mglmm {

void check(UpscaleMasks& op) {
  const Check check(op);
  check.floating("x", op.x);
  check.rank("x", op.x, 3, "[masks, tokens, dim]");
  const auto weight = [&](const char* name, const ConstTensor& tensor, int64_t in, const char* why) {
    check.rank(name, tensor, 4, "[in, out, 2, 2]");
    check.same_dtype(name, tensor, "x", op.x);
    check.shape(name, tensor, {in, tensor.shape[1], 2, 2}, why);
  };
  const auto channels = [&](const char* name, const ConstTensor& tensor, const ConstTensor& of, const char* why) {
    check.shape(name, tensor, {of.shape[1]}, why);
    check.same_dtype(name, tensor, "x", op.x);
  };
  weight("weight1", op.weight1, op.x.shape[2], "as many inputs as x has");
  channels("bias1", op.bias1, op.weight1, "one value an output of weight1");
  channels("normWeight", op.normWeight, op.weight1, "one value an output of weight1");
  channels("normBias", op.normBias, op.weight1, "one value an output of weight1");
  weight("weight2", op.weight2, op.weight1.shape[1], "as many inputs as weight1 has outputs");
  channels("bias2", op.bias2, op.weight2, "one value an output of weight2");
  check.rank("hyper", op.hyper, 3, "[masks, outputs, channels]");
  check.same_dtype("hyper", op.hyper, "x", op.x);
  check.shape("hyper", op.hyper, {op.x.shape[0], op.hyper.shape[1], op.weight2.shape[1]},
              "the masks of x, the outputs of weight2");
  check.require(op.width >= 1, "width", std::to_string(op.width), "at least 1");
  const int64_t tokens = op.x.shape[1];
  check.require(tokens % op.width == 0, "width", std::to_string(op.width),
                "a divisor of the " + std::to_string(tokens) + " tokens");
  check.positive("eps", op.eps);
  if (tokens > Shape::kMaxCount / 16) check.fail(kShapeError, "the result has more than 2^48 elements");
  check.output("y", op.y, {op.x.shape[0], op.hyper.shape[1], 4 * (tokens / op.width), 4 * op.width}, op.x.dtype);
}

}  // namespace mglmm
