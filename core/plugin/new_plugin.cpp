// new_plugin.cpp -- `hone new-plugin KIND NAME`: the SDK's template, with the name filled in.
#include <algorithm>

#include "core/base/failure.h"
#include "core/base/file.h"
#include "core/base/text.h"
#include "core/plugin/verbs.h"

namespace hone {

namespace fs = std::filesystem;

namespace {

// Beside the installed program (PREFIX/bin, PREFIX/share/hone/template), else in the tree that it was built from.
fs::path template_folder(const std::string &kind) {
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path installed = program.parent_path().parent_path() / "share" / "hone" / "template";
  for (const fs::path &folder : {installed, fs::path(HONE_TEMPLATE_SOURCE)})
    if (fs::is_directory(folder / kind, error)) return folder / kind;
  throw Failure("there is no template for a " + kind + " in " + installed.string() +
                "; install the SDK beside the program: cmake --install BUILD --component sdk --prefix " +
                installed.parent_path().parent_path().parent_path().string());
}

std::string replaced(std::string text, const std::string &from, const std::string &to) {
  for (size_t at = 0; (at = text.find(from, at)) != text.npos; at += to.size()) text.replace(at, from.size(), to);
  return text;
}

// math_exact -> MathExact
std::string class_name(const std::string &name) {
  std::string out;
  bool start = true;
  for (const char c : name) {
    if (c != '_') out += start && c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c;
    start = c == '_';
  }
  return out;
}

}  // namespace

int new_plugin(const std::string &kind, const std::string &name, const fs::path &folder, std::ostream &out) {
  const std::vector<std::string> kinds = {"model", "objective", "optimizer", "reward", "stage"};
  if (std::find(kinds.begin(), kinds.end(), kind) == kinds.end()) {
    const std::string nearest = nearest_name(kind, kinds);
    throw UsageError("there is no kind of plugin \"" + kind + "\"; " +
                     (nearest.empty() ? "there are " + join(kinds, ", ") : "did you mean \"" + nearest + "\"?"));
  }
  const auto fits = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_'; };
  if (name.empty() || name.size() > 64 || !(name[0] >= 'a' && name[0] <= 'z') || !std::all_of(name.begin(), name.end(), fits))
    throw UsageError("\"" + name + "\" cannot name a plugin; use small letters, digits and _, beginning with a letter");
  const fs::path source = template_folder(kind), target = folder / name;
  if (fs::exists(target)) throw UsageError(target.string() + " is there already; take another name or another folder");
  std::error_code error;
  // Made beside and renamed: never a half-made plugin.
  const fs::path beside = folder / ("." + name + ".part");
  fs::remove_all(beside, error);
  try {
    fs::create_directories(beside, error);
    if (error) throw Failure(error.message());
    for (const fs::directory_entry &file : fs::recursive_directory_iterator(source)) {
      const fs::path relative = replaced(fs::relative(file.path(), source).string(), "my_plugin", name);
      if (file.is_directory()) fs::create_directories(beside / relative);
      else write_file_atomically(beside / relative, replaced(replaced(read_file(file.path()), "my_plugin", name), "MyPlugin", class_name(name)));
    }
    fs::rename(beside, target);
  } catch (const std::exception &failed) {
    fs::remove_all(beside, error);
    throw Failure("cannot make " + target.string() + ": " + failed.what());
  }
  const std::string room = kind == "objective" ? "stage" : kind;
  out << target.string() << ": " << (kind == "objective" || kind == "optimizer" ? "an " : "a ") << kind << " to begin with. Build and test it with\n"
      << "  cmake -S " << target.string() << " -B " << (target / "build").string() << " -DCMAKE_PREFIX_PATH=WHERE_THE_SDK_IS\n"
      << "  cmake --build " << (target / "build").string() << " --target check\n"
      << "and use it with `hone --plugins " << (target / "build" / "lib" / "hone").string() << "` as hone." << room << " \"" << name << "\" {}\n";
  return 0;
}

}  // namespace hone
