#include "cpu/onednn.h"

#include <dnnl.hpp>
#include <list>
#include <map>
#include <memory>
#include <unordered_map>
#include <vector>

#include "cpu/parallel.h"

namespace mglmm::cpu {
namespace {

using dnnl::memory;

constexpr size_t kAlignment = 64;

const dnnl::engine& engine() {
  static const dnnl::engine the_engine(dnnl::engine::kind::cpu, 0);
  return the_engine;
}

memory::data_type type_of(Dtype dtype) { return dtype == Dtype::bf16 ? memory::data_type::bf16 : memory::data_type::f32; }

bool has(dnnl::cpu_isa isa) {
#if defined(__x86_64__)
  const auto bits = static_cast<unsigned>(isa);
  return (static_cast<unsigned>(dnnl::get_effective_cpu_isa()) & bits) == bits;
#else
  (void)isa;
  return false;
#endif
}

struct Plan {
  dnnl::matmul primitive;
  memory a, b, bias, y, scratchpad;  // without data
};

memory::desc matrix(const Product& p, int64_t rows, int64_t columns, bool transposed, bool shared, Dtype dtype) {
  if (p.stack == 1) {
    return {{rows, columns}, type_of(dtype), transposed ? memory::format_tag::ba : memory::format_tag::ab};
  }
  const int64_t stack = shared ? 1 : p.stack;
  return {{stack, rows, columns}, type_of(dtype), transposed ? memory::format_tag::acb : memory::format_tag::abc};
}

Plan make_plan(const Product& p) {
  const memory::desc a = matrix(p, p.rows, p.inner, p.a_transposed, p.a_shared, p.dtype);
  const memory::desc b =
      p.b_packed ? memory::desc({p.inner, p.columns}, type_of(p.dtype),
                                p.dtype == Dtype::bf16 ? memory::format_tag::BA16a64b2a : memory::format_tag::BA16a64b)
                 : matrix(p, p.inner, p.columns, p.b_transposed, p.b_shared, p.dtype);
  const memory::desc y = matrix(p, p.rows, p.columns, false, false, p.result);
  memory::desc bias;
  if (p.bias) {
    bias = p.stack == 1 ? memory::desc({1, p.columns}, type_of(p.dtype), memory::format_tag::ab)
                        : memory::desc({1, 1, p.columns}, type_of(p.dtype), memory::format_tag::abc);
  }
  dnnl::primitive_attr attributes;
  attributes.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  if (p.accumulate) {
    dnnl::post_ops sum;
    sum.append_sum();
    attributes.set_post_ops(sum);
  }
  const auto product = p.bias ? dnnl::matmul::desc(a, b, bias, y) : dnnl::matmul::desc(a, b, y);
  const dnnl::matmul::primitive_desc description(product, attributes, engine());
  const auto unbound = [](const memory::desc& desc) { return memory(desc, engine(), DNNL_MEMORY_NONE); };
  return {dnnl::matmul(description),         unbound(a), unbound(b),
          p.bias ? unbound(bias) : memory(), unbound(y), unbound(description.scratchpad_desc())};
}

// The plans of this thread: making one compiles code, up to milliseconds. The longest unused one makes room.
Plan& plan_of(const Product& product) {
  using Plans = std::list<std::pair<Product, Plan>>;
  constexpr size_t kKept = 256;
  thread_local Plans plans;  // newest first
  thread_local std::map<Product, Plans::iterator> by_product;
  const auto found = by_product.find(product);
  if (found != by_product.end()) {
    plans.splice(plans.begin(), plans, found->second);
    return plans.front().second;
  }
  plans.emplace_front(product, make_plan(product));
  by_product[product] = plans.begin();
  if (plans.size() > kKept) {
    by_product.erase(plans.back().first);
    plans.pop_back();
  }
  return plans.front().second;
}

}  // namespace

bool can_multiply(Dtype dtype, bool packed) {
  static const bool avx512 = has(dnnl::cpu_isa::avx512_core);
  static const bool avx512_bf16 = has(dnnl::cpu_isa::avx512_core_bf16);
  return dtype == Dtype::f32 ? avx512 || !packed : dtype == Dtype::bf16 && avx512_bf16;
}

void multiply(Product product, const void* a, const void* b, const void* bias, void* y, Stream& scratch) {
  thread_local dnnl::stream stream(engine());
  thread_local std::vector<std::byte> own_scratch;  // of a thread that computes its part alone: a Stream serves one thread
  const bool alone = inside_parallel();
  product.threads = alone ? 1 : thread_count();
  Plan& plan = plan_of(product);
  const auto scratch_bytes = plan.scratchpad.get_desc().get_size();
  if (alone && own_scratch.size() < scratch_bytes + kAlignment) own_scratch.resize(scratch_bytes + kAlignment);
  void* aligned = own_scratch.data();
  size_t space = own_scratch.size();
  plan.scratchpad.set_data_handle(alone ? std::align(kAlignment, scratch_bytes, aligned, space)
                                        : scratch.scratch(static_cast<int64_t>(scratch_bytes)));
  plan.a.set_data_handle(const_cast<void*>(a));
  plan.b.set_data_handle(const_cast<void*>(b));
  plan.y.set_data_handle(y);
  std::unordered_map<int, memory> arguments = {
      {DNNL_ARG_SRC, plan.a}, {DNNL_ARG_WEIGHTS, plan.b}, {DNNL_ARG_DST, plan.y}, {DNNL_ARG_SCRATCHPAD, plan.scratchpad}};
  if (product.bias) {
    plan.bias.set_data_handle(const_cast<void*>(bias));
    arguments[DNNL_ARG_BIAS] = plan.bias;
  }
  plan.primitive.execute(stream, arguments);
  stream.wait();
}

}  // namespace mglmm::cpu
