#include "cpu/onednn_convolution.h"

#include <array>
#include <deque>
#include <dnnl.hpp>
#include <unordered_map>
#include <vector>

#include "cpu/parallel.h"
#include "cpu/simd.h"

namespace mglmm::cpu {
namespace {

using dnnl::memory;

enum class Pass : uint8_t { forward, gradient, weight };

const dnnl::engine& engine() {
  static const dnnl::engine the_engine(dnnl::engine::kind::cpu, 0);
  return the_engine;
}

memory::data_type type_of(Dtype dtype) { return dtype == Dtype::bf16 ? memory::data_type::bf16 : memory::data_type::f32; }

// What a plan is made for. `input` is the dtype of the operands that are read, `output` of the one that is written.
struct Key {
  Pass pass;
  ConvolutionSizes sizes;
  Dtype input, output;
  bool bias;
  int threads;
  bool operator==(const Key&) const = default;
};

struct Plan {
  Key key;
  dnnl::primitive primitive;
  memory::desc x, weight, y, scratchpad;  // in the order that the primitive likes best
};

memory::desc rows(std::array<int64_t, 4> sizes, Dtype dtype) {
  return {memory::dims(sizes.begin(), sizes.end()), type_of(dtype), memory::format_tag::abcd};
}
memory::desc any(std::array<int64_t, 4> sizes, Dtype dtype) {
  return {memory::dims(sizes.begin(), sizes.end()), type_of(dtype), memory::format_tag::any};
}
std::array<int64_t, 4> x_sizes(const ConvolutionSizes& s) { return {s.batch, s.in, s.height, s.width}; }
std::array<int64_t, 4> weight_sizes(const ConvolutionSizes& s) { return {s.out, s.in, s.kernel_height, s.kernel_width}; }
std::array<int64_t, 4> y_sizes(const ConvolutionSizes& s) { return {s.batch, s.out, s.out_height, s.out_width}; }

// Throws dnnl::error when oneDNN has no primitive for these dtypes on this processor.
Plan make_plan(const Key& key) {
  const ConvolutionSizes& s = key.sizes;
  const auto dtype = [&](Pass written_by) { return key.pass == written_by ? key.output : key.input; };
  const memory::desc x = any(x_sizes(s), dtype(Pass::gradient));
  const memory::desc weight = any(weight_sizes(s), dtype(Pass::weight));
  const memory::desc y = any(y_sizes(s), dtype(Pass::forward));
  const memory::dims strides{s.stride, s.stride};
  const memory::dims padding{s.padding, s.padding};
  const auto algorithm = dnnl::algorithm::convolution_direct;
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);

  using Forward = dnnl::convolution_forward;
  const auto prop = dnnl::prop_kind::forward_training;
  const memory::desc bias({s.out}, type_of(key.input), memory::format_tag::a);
  const auto forward_pass = key.bias ? Forward::desc(prop, algorithm, x, weight, bias, y, strides, padding, padding)
                                     : Forward::desc(prop, algorithm, x, weight, y, strides, padding, padding);
  if (key.pass == Pass::forward) {
    const Forward::primitive_desc d(forward_pass, attributes, engine());
    return {key, Forward(d), d.src_desc(), d.weights_desc(), d.dst_desc(), d.scratchpad_desc()};
  }
  // The backward passes ask for a forward pass as a hint; its dtypes are those of the operands that are read.
  const auto hint_pass = Forward::desc(prop, algorithm, any(x_sizes(s), key.input), any(weight_sizes(s), key.input),
                                       any(y_sizes(s), key.input), strides, padding, padding);
  const Forward::primitive_desc hint(hint_pass, engine());
  if (key.pass == Pass::gradient) {
    using Gradient = dnnl::convolution_backward_data;
    const Gradient::primitive_desc d(Gradient::desc(algorithm, x, weight, y, strides, padding, padding), attributes,
                                     engine(), hint);
    return {key, Gradient(d), d.diff_src_desc(), d.weights_desc(), d.diff_dst_desc(), d.scratchpad_desc()};
  }
  using WeightGradient = dnnl::convolution_backward_weights;
  const WeightGradient::primitive_desc d(WeightGradient::desc(algorithm, x, weight, y, strides, padding, padding),
                                         attributes, engine(), hint);
  return {key, WeightGradient(d), d.src_desc(), d.diff_weights_desc(), d.diff_dst_desc(), d.scratchpad_desc()};
}

// The last plans of this thread, newest first; null where there is no primitive for the key.
const Plan* plan_of(const Key& key) {
  constexpr size_t kKept = 64;
  thread_local std::deque<std::unique_ptr<Plan>> plans;
  for (auto& plan : plans) {
    if (plan->key == key) return plan->primitive ? plan.get() : nullptr;
  }
  if (plans.size() == kKept) plans.pop_back();
  try {
    plans.push_front(std::make_unique<Plan>(make_plan(key)));
  } catch (const dnnl::error& error) {
    if (error.status != dnnl_unimplemented || key.input == Dtype::f32) throw;
    plans.push_front(std::make_unique<Plan>(Plan{key, {}, {}, {}, {}, {}}));
    return nullptr;
  }
  return plans.front().get();
}

float* widened(Operand from, int64_t count, Stream& stream) {
  if (from.data == nullptr || from.dtype == Dtype::f32) return reinterpret_cast<float*>(from.data);
  float* to = stream.scratch_of<float>(count);
  by_dtype(from.dtype, [&]<typename T>(Type<T>) {
    const T* source = reinterpret_cast<const T*>(from.data);
    parallel_ranges(count, kElementGrain, [=](int64_t begin, int64_t end) {
      by_lanes(begin, end, [=](int64_t i, auto... lanes) { store(to + i, load(source + i, lanes...), lanes...); });
    });
  });
  return to;
}

void narrow(const float* from, Operand to, int64_t count) {
  by_dtype(to.dtype, [&]<typename T>(Type<T>) {
    T* target = reinterpret_cast<T*>(to.data);
    parallel_ranges(count, kElementGrain, [=](int64_t begin, int64_t end) {
      by_lanes(begin, end, [=](int64_t i, auto... lanes) { store(target + i, load(from + i, lanes...), lanes...); });
    });
  });
}

void execute(const Plan& plan, Operand x, Operand weight, Operand bias, Operand y, Stream& scratch) {
  thread_local dnnl::stream stream(engine());
  const ConvolutionSizes& s = plan.key.sizes;
  const Pass pass = plan.key.pass;
  std::unordered_map<int, memory> arguments;
  const auto bind = [&](int argument, const memory::desc& wanted, std::array<int64_t, 4> sizes, Operand operand,
                        bool written) {
    const memory plain(rows(sizes, operand.dtype), engine(), operand.data);
    memory blocked = plain;
    if (wanted != plain.get_desc()) {
      blocked = memory(wanted, engine(), scratch.scratch(static_cast<int64_t>(wanted.get_size())));
      if (!written) dnnl::reorder(plain, blocked).execute(stream, const_cast<memory&>(plain), blocked);
    }
    arguments[argument] = blocked;
    return plain;
  };
  const memory x_rows =
      bind(pass == Pass::gradient ? DNNL_ARG_DIFF_SRC : DNNL_ARG_SRC, plan.x, x_sizes(s), x, pass == Pass::gradient);
  const memory weight_rows = bind(pass == Pass::weight ? DNNL_ARG_DIFF_WEIGHTS : DNNL_ARG_WEIGHTS, plan.weight,
                                  weight_sizes(s), weight, pass == Pass::weight);
  const memory y_rows =
      bind(pass == Pass::forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, plan.y, y_sizes(s), y, pass == Pass::forward);
  if (bias.data) {
    arguments[DNNL_ARG_BIAS] = memory({{s.out}, type_of(bias.dtype), memory::format_tag::a}, engine(), bias.data);
  }
  arguments[DNNL_ARG_SCRATCHPAD] =
      memory(plan.scratchpad, engine(), scratch.scratch(static_cast<int64_t>(plan.scratchpad.get_size())));
  plan.primitive.execute(stream, arguments);

  const auto [argument, plain] = pass == Pass::forward    ? std::pair(DNNL_ARG_DST, y_rows)
                                 : pass == Pass::gradient ? std::pair(DNNL_ARG_DIFF_SRC, x_rows)
                                                          : std::pair(DNNL_ARG_DIFF_WEIGHTS, weight_rows);
  memory result = arguments[argument];
  memory target = plain;
  if (result.get_desc() != target.get_desc()) dnnl::reorder(result, target).execute(stream, result, target);
  stream.wait();
}

// In the operands' own dtype where oneDNN has it, else in f32 through scratch memory.
void run_pass(Pass pass, const ConvolutionSizes& s, Operand x, Operand weight, Operand bias, Operand y, Stream& stream) {
  Operand& written = pass == Pass::forward ? y : pass == Pass::gradient ? x : weight;
  const Operand& read = pass == Pass::forward ? x : y;
  if (read.dtype != Dtype::f16 && written.dtype != Dtype::f16) {
    const Plan* plan = plan_of({pass, s, read.dtype, written.dtype, bias.data != nullptr, thread_count()});
    if (plan) return execute(*plan, x, weight, bias, y, stream);
  }
  const Operand result = written;
  const std::array<int64_t, 3> counts = {s.batch * s.in * s.height * s.width,
                                         s.out * s.in * s.kernel_height * s.kernel_width,
                                         s.batch * s.out * s.out_height * s.out_width};
  const int64_t count = counts[pass == Pass::forward ? 2 : pass == Pass::gradient ? 0 : 1];
  Operand operands[] = {x, weight, y};
  for (int i = 0; i < 3; ++i) {
    const bool is_written = operands[i].data == result.data;
    if (operands[i].dtype == Dtype::f32) continue;
    float* wide =
        is_written ? stream.scratch_of<float>(count) : widened(operands[i], counts[static_cast<size_t>(i)], stream);
    operands[i] = {reinterpret_cast<std::byte*>(wide), Dtype::f32};
  }
  const Operand wide_bias{reinterpret_cast<std::byte*>(widened(bias, s.out, stream)), Dtype::f32};
  const Plan* plan = plan_of({pass, s, Dtype::f32, Dtype::f32, bias.data != nullptr, thread_count()});
  execute(*plan, operands[0], operands[1], wide_bias, operands[2], stream);
  if (result.dtype != Dtype::f32) {
    const Operand& wide = operands[pass == Pass::forward ? 2 : pass == Pass::gradient ? 0 : 1];
    narrow(reinterpret_cast<const float*>(wide.data), result, count);
  }
}

}  // namespace

void convolution(const ConvolutionSizes& sizes, Operand x, Operand weight, Operand bias, Operand y, Stream& stream) {
  run_pass(Pass::forward, sizes, x, weight, bias, y, stream);
}

void convolution_of_gradient(const ConvolutionSizes& sizes, Operand dy, Operand weight, Operand dx, Stream& stream) {
  run_pass(Pass::gradient, sizes, dx, weight, {}, dy, stream);
}

void convolution_of_weight(const ConvolutionSizes& sizes, Operand dy, Operand x, Operand dweight, Stream& stream) {
  run_pass(Pass::weight, sizes, x, dweight, {}, dy, stream);
}

}  // namespace mglmm::cpu
