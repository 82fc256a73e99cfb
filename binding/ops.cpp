// Every op of kernels/ops.h as a JavaScript function, and the description of its fields.
#include "binding/bind.h"

namespace mglmm {
namespace {

template <typename Op>
void bind(Napi::Env env, Napi::Object ops, Napi::Object fields) {
  const std::string name(Op::name);
  ops.Set(name, Napi::Function::New(env, call<Op>, name));
  fields.Set(name, describe_fields<Op>(env));
}

}  // namespace

void register_ops(Napi::Env env, Napi::Object exports) {
  Napi::Object ops = Napi::Object::New(env);
  Napi::Object fields = Napi::Object::New(env);
#define MGLMM_BIND(Op) bind<Op>(env, ops, fields);
  MGLMM_OPS(MGLMM_BIND)
#undef MGLMM_BIND
  exports.Set("ops", ops);
  exports.Set("fields", fields);
}

}  // namespace mglmm
