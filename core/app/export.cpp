// export.cpp -- `hone export`: a model as a Hugging Face directory or a GGUF file, for other programs. Written beside
// its place and renamed when whole.
#include <unistd.h>

#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/log.h"
#include "core/model/gguf_model.h"

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
  const LoadedModel model = load_model(a.model, registry, host);
  if (a.to == "gguf") {
    save_gguf(out, *model.weights, gguf_vocabulary_of(*model.tokenizer), dtype);
  } else {
    FolderBeside folder(out);
    save_model(folder.path(), *model.weights, *model.tokenizer, dtype);
    folder.put_in_place();
  }
  log_info("wrote " + out.string());
  return 0;
}

}  // namespace hone
