// kernels.cpp -- opens a device's kernel library, once per process; it is never unloaded.
#include <dlfcn.h>

#include <cstdlib>
#include <map>
#include <mutex>

#include "core/base/failure.h"
#include "core/model/model.h"

namespace hone {
namespace {

std::filesystem::path library_folder() {
  if (const char *chosen = std::getenv("HONE_KERNELS"); chosen && *chosen) return chosen;
  std::error_code ignored;
  const auto program = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return program.parent_path().parent_path() / "lib";
}

const hone_kernels *open_kernels(const std::string &device) {
  const auto path = kernel_library(device);
  if (!std::filesystem::exists(path))
    throw Failure("no kernels for device \"" + device + "\": " + path.string() +
                  " does not exist; build the target hone_kernels_" + device + ", or set HONE_KERNELS to its folder");
  void *library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!library) throw Failure("cannot open the kernels: " + std::string(dlerror()));
  const auto entry = reinterpret_cast<hone_kernels_entry>(dlsym(library, "hone_kernels_v1"));
  if (!entry)
    throw Failure(path.string() + " exports no hone_kernels_v1; it is not a kernel library of this version of hone");
  const hone_kernels *table = entry();
  if (!table) {
    const char *wanted = std::getenv("HONE_ISA");
    throw Failure(wanted && *wanted
                      ? "HONE_ISA is \"" + std::string(wanted) + "\", which is none of the instruction sets of " +
                            path.string() + ", or this CPU cannot run it; unset it"
                      : path.string() + " has no kernels for this machine");
  }
  if (table->struct_size != sizeof(hone_kernels))
    throw Failure(path.string() + " has a kernel table of " + std::to_string(table->struct_size) +
                  " bytes, but this program needs " + std::to_string(sizeof(hone_kernels)) +
                  "; build both from the same sources");
  return table;
}

}  // namespace

std::filesystem::path kernel_library(const std::string &device) {
  return library_folder() / ("libhone_kernels_" + device + ".so");
}

const hone_kernels &kernels(const std::string &device) {
  static std::mutex mutex;
  static std::map<std::string, const hone_kernels *> opened;
  const std::lock_guard lock(mutex);
  const hone_kernels *&table = opened[device];
  if (!table) table = open_kernels(device);
  return *table;
}

}  // namespace hone
