#include "binding/program.h"

#include <algorithm>
#include <map>
#include <utility>

#include "binding/tensor.h"

namespace mglmm {
namespace {

using Handle = std::shared_ptr<Program>;
using Token = std::shared_ptr<CancelToken>;

struct ProgramTask final : Executor::Task {
  Handle program;
  Token token;
  void run(Executor& executor) noexcept override { program->run(executor, token.get()); }
};

struct ForgetTask final : Executor::Task {
  Handle program;
  void run(Executor&) noexcept override { program.reset(); }
};

Handle& program_of(const Napi::CallbackInfo& info) {
  if (!info[0].IsExternal()) throw Error(kArgumentError, "program: expected what `program` made");
  Handle& handle = *info[0].As<Napi::External<Handle>>().Data();
  if (handle == nullptr) throw Error(kDisposedError, "program: was disposed, expected a live one");
  return handle;
}

// On a GPU the last one to hold a program waits for its launches, and frees memory: on the stream's thread, in its turn, not
// on JavaScript's while that may be capturing another.
void forget(Napi::Env env, Handle program) {
  if (program == nullptr || !is_cuda(program->device())) return;
  Executor* executor = Context::of(env).running(program->device());
  auto task = std::make_unique<ForgetTask>();
  task->program = std::move(program);
  if (executor != nullptr) executor->enqueue(std::move(task));
}

Napi::Value make_program(const Napi::CallbackInfo& info) {
  return Napi::External<Handle>::New(info.Env(), new Handle(std::make_shared<Program>()), [](Napi::Env env, Handle* handle) {
    forget(env, std::move(*handle));
    delete handle;
  });
}

// recordProgram(program): until recordProgram(), ops are added to it instead of being enqueued.
Napi::Value record_program(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const Handle program = info[0].IsUndefined() ? nullptr : program_of(info);
    Handle& recording = Context::of(info.Env()).recording;
    if (program && program->sealed()) throw Error(kArgumentError, "program: has run before, expected one that has not");
    if (program && recording) throw Error(kArgumentError, "program: another one is being recorded, expected none");
    recording = program;
    return info.Env().Undefined();
  });
}

// runProgram(program, token?)
Napi::Value run_program(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto task = std::make_unique<ProgramTask>();
    task->program = program_of(info);
    if (Context::of(info.Env()).recording) {
      throw Error(kArgumentError, "program: cannot run while one is being recorded; record the ops of both in one");
    }
    task->token = token_of(info[1]);
    task->program->seal();
    Executor& executor = Context::of(info.Env()).executor(task->program->device());
    executor.enqueue(std::move(task));
    return info.Env().Undefined();
  });
}

Napi::Value dispose_program(const Napi::CallbackInfo& info) {
  if (!info[0].IsExternal()) return info.Env().Undefined();
  forget(info.Env(), std::exchange(*info[0].As<Napi::External<Handle>>().Data(), nullptr));
  return info.Env().Undefined();
}

}  // namespace

void Program::add(std::unique_ptr<Step> step, Device device) {
  if (!steps_.empty() && device != device_) {
    throw Error(kDeviceError, "program: an op is on " + to_string(device) + ", expected " + to_string(device_) +
                                  ", the device of the ops before");
  }
  device_ = device;
  steps_.push_back(std::move(step));
}

void Program::seal() {
  if (sealed_) return;
  sealed_ = true;
  struct Use {
    std::shared_ptr<Storage> storage;
    size_t last;
    int64_t fields;
    bool made_here, changed;
  };
  std::map<const Storage*, Use> uses;
  for (size_t i = 0; i < steps_.size(); ++i) {
    steps_[i]->storages([&](const std::shared_ptr<Storage>& storage, Step::Use how) {
      auto [place, is_new] = uses.try_emplace(storage.get(), Use{storage, i, 0, how == Step::Use::makes, false});
      place->second.last = i;
      place->second.changed = place->second.changed || how == Step::Use::changes;
      ++place->second.fields;
    });
  }
  last_read_.resize(steps_.size());
  for (auto& [_, use] : uses) {
    const int64_t holders = use.storage.use_count() - 1;  // less this table
    if (use.made_here && holders == use.fields) {
      last_read_[use.last].push_back(use.storage);
      continue;
    }
    if (!use.made_here) given_.push_back(use.storage);
    if (use.made_here || use.changed) results_.push_back(use.storage);
  }
}

void Program::run(Executor& executor, const CancelToken* token) noexcept {
  if (launch(executor, token)) return;
  run_steps(executor, token);
  has_run_ =
      std::ranges::all_of(results_, [](const auto& storage) { return storage->data != nullptr || storage->bytes == 0; });
}

void Program::run_steps(Executor& executor, const CancelToken* token) noexcept {
  for (size_t i = 0; i < steps_.size(); ++i) {
    steps_[i]->run(executor, token);
    for (const auto& storage : last_read_[i]) {
      if (storage->release) storage->release(*storage);
    }
  }
}

// False where nothing was enqueued, and the steps have to run one by one: the first time, which makes results their memory
// and finds the algorithms of products; and when something is wrong with what is given, which a step says best.
bool Program::launch(Executor& executor, const CancelToken* token) noexcept {
  if (!is_cuda(device_) || no_graph_ || !has_run_ || (token != nullptr && token->cancelled)) return false;
  try {
    Stream& stream = executor.stream();
    Doubts doubts;
    for (const auto& storage : given_) {
      if (!storage->error.empty() || storage->data == nullptr) return false;
      for (const auto& doubt : storage->doubts) {
        if (doubt->error) return false;
        if (!doubt->decided) doubts.push_back(doubt);
      }
    }
    if (!graph_) graph_ = capture(executor);
    no_graph_ = graph_ == nullptr;
    if (no_graph_) return false;
    stream.doubts = std::move(doubts);
    graph_->launch();
    for (const auto& storage : results_) {
      storage->error.clear();
      storage->doubts = stream.doubts;
    }
    return true;
  } catch (const Error& error) {
    for (const auto& storage : results_) {
      storage->error_code = error.code;
      storage->error = error.what();
    }
    executor.note(error);
    return true;
  }
}

// Null where a step cannot be collected: its error is not the program's.
std::unique_ptr<Graph> Program::capture(Executor& executor) {
  const auto noted = executor.take_noted();
  std::unique_ptr<Graph> graph;
  try {
    graph = executor.stream().capture([&] { run_steps(executor, nullptr); });
  } catch (const Error& error) {
    executor.note(error);
  }
  if (executor.take_noted()) graph = nullptr;
  if (noted) executor.note(*noted);
  for (const auto& storage : results_) storage->error.clear();
  return graph;
}

std::shared_ptr<CancelToken> token_of(Napi::Value value) {
  return value.IsExternal() ? *value.As<Napi::External<Token>>().Data() : nullptr;
}

void register_programs(Napi::Env env, Napi::Object exports) {
  const auto add = [&](const char* name, Napi::Value (*function)(const Napi::CallbackInfo&)) {
    exports.Set(name, Napi::Function::New(env, function, name));
  };
  add("makeProgram", make_program);
  add("recordProgram", record_program);
  add("runProgram", run_program);
  add("disposeProgram", dispose_program);
  exports.Set("cancelToken", Napi::Function::New(env, [](const Napi::CallbackInfo& info) -> Napi::Value {
                return Napi::External<Token>::New(info.Env(), new Token(std::make_shared<CancelToken>()),
                                                  [](Napi::Env, Token* token) { delete token; });
              }));
  exports.Set("cancel", Napi::Function::New(env, [](const Napi::CallbackInfo& info) {
                (*info[0].As<Napi::External<Token>>().Data())->cancelled = true;
              }));
}

}  // namespace mglmm
