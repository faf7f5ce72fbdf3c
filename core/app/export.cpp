// export.cpp -- `hone export`: a model as a Hugging Face directory or a GGUF file, for other programs. Written beside
// its place and renamed when whole.
#include <unistd.h>

#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/model/gguf_model.h"
#include "core/model/merge_lora.h"
#include "core/model/model_files.h"
#include "core/run/progress.h"
#include "core/stage/context.h"
#include "core/stage/interrupt.h"

namespace hone {
namespace fs = std::filesystem;

namespace {

// A folder beside `place` that is gone again unless it was renamed to it.
class FolderBeside {
 public:
  explicit FolderBeside(const fs::path &place)
      : place_(place), beside_(place.string() + ".partial-" + std::to_string(getpid())) {
    if (!fs::create_directory(beside_))
      throw Failure("cannot write " + beside_.string() + ": it is there already; remove it");
  }
  ~FolderBeside() {
    std::error_code ignored;
    if (!beside_.empty()) fs::remove_all(beside_, ignored);
  }
  const fs::path &path() const { return beside_; }
  void put_in_place() {
    sync_file(beside_);
    fs::rename(beside_, place_);
    beside_.clear();
    sync_file(place_.has_parent_path() ? place_.parent_path() : fs::path("."));
  }

 private:
  fs::path place_, beside_;
};

// What a directory holds of its tokenizer that save_model(), which writes what it read, does not know.
void keep_companions(const fs::path &from, const fs::path &to) {
  for (const char *name : {"added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model"})
    if (fs::is_regular_file(from / name) && !fs::exists(to / name))
      write_file_atomically(to / name, read_file(from / name));
}

// A signal ends the verb at the next of these places, so that nothing is left behind.
void stop_if_interrupted() {
  if (const int signal = interrupt_flag().load()) throw Interrupted{signal};
}

EachTensor told(const std::string &what) {
  auto progress = std::make_shared<std::unique_ptr<Progress>>();
  return [=](uint64_t done, uint64_t all) {
    stop_if_interrupted();
    if (!*progress) *progress = std::make_unique<Progress>(what, all);
    (*progress)->update(done);
  };
}

}  // namespace

int export_verb(const Arguments &a) {
  fs::path out = a.out;
  if (!out.has_filename()) out = out.parent_path();  // "folder/"
  if (out.empty())
    throw UsageError("hone export: OUT is empty; name the " + std::string(a.to == "hf" ? "directory" : "file") +
                     " to write");
  if (fs::exists(fs::symlink_status(out)))
    throw UsageError(out.string() + " is there already; choose another OUT, or remove it");
  if (const fs::path parent = out.parent_path(); !parent.empty() && !fs::is_directory(parent))
    throw UsageError(out.string() + ": there is no folder " + parent.string());
  const std::string dtype = a.dtype == "bf16" ? "BF16" : a.dtype == "f16" ? "F16" : "F32";
  Pool pool(a.threads);
  const Host host(pool, a.seed);
  const Registry registry = Registry::scan(plugin_folders(a.plugins));
  stop_if_interrupted();  // from here on a signal only sets the flag
  LoadedModel model = load_model(a.model, registry, host, HONE_F32, told("reading " + a.model.string()));
  if (model.weights->base()) model.weights = merge_lora_for_export(*model.weights, a.model.string(), dtype);
  stop_if_interrupted();
  if (a.to == "gguf") {
    save_gguf(out, *model.weights, model.tokenizer->gguf_vocabulary(), dtype, told("writing " + out.string()));
  } else {
    FolderBeside folder(out);
    save_model(folder.path(), *model.weights, *model.tokenizer, dtype, told("writing " + out.string()));
    if (!is_model_file(a.model)) keep_companions(a.model, folder.path());
    stop_if_interrupted();
    folder.put_in_place();
  }
  log_info("wrote " + out.string());
  return 0;
}

}  // namespace hone
