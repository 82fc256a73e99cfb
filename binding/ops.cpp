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

  using Token = std::shared_ptr<CancelToken>;
  exports.Set("cancelToken", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                return Napi::External<Token>::New(info.Env(), new Token(std::make_shared<CancelToken>()),
                                                  [](Napi::Env, Token* token) { delete token; });
              }));
  exports.Set("cancel", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
                (*info[0].As<Napi::External<Token>>().Data())->cancelled = true;
              }));
}

}  // namespace mglmm
