// doctor.cpp -- `hone doctor`: what this machine has, which kernels are used, and which plugins were found.
#include <cpuid.h>
#include <sys/sysinfo.h>

#include <fstream>
#include <iostream>

#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/model/model.h"

namespace hone {

static std::string processor_name() {
  std::ifstream info("/proc/cpuinfo");
  for (std::string line; std::getline(info, line);)
    if (line.rfind("model name", 0) == 0) return line.substr(line.find(':') + 2);
  return "unknown";
}

static std::string features() {
  std::string out;
  const auto add = [&](bool has, const char *name) {
    if (has) out += (out.empty() ? "" : " ") + std::string(name);
  };
  __builtin_cpu_init();
  add(__builtin_cpu_supports("avx2"), "avx2");
  add(__builtin_cpu_supports("fma"), "fma");
  add(__builtin_cpu_supports("avx512f"), "avx512f");
  add(__builtin_cpu_supports("avx512bw"), "avx512bw");
  add(__builtin_cpu_supports("avx512bf16"), "avx512bf16");
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  add(__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) && (edx >> 22 & 1), "amx_bf16");
  return out.empty() ? "none of avx2, avx512" : out;
}

int doctor_verb(const Arguments &a) {
  struct sysinfo memory {};
  sysinfo(&memory);
  Pool pool(a.threads);
  std::cout << "hone " << HONE_VERSION << ", plugin ABI " << HONE_ABI_MAJOR << "." << HONE_ABI_MINOR << "\n"
            << "processor      " << processor_name() << " (" << features() << ")\n"
            << "threads        " << pool.threads() << "\n"
            << "memory         " << human_bytes(uint64_t(memory.totalram) * memory.mem_unit) << "\n";
  bool well = true;
  try {
    const hone_kernels &table = kernels();
    std::cout << "kernels        " << table.device << ", " << table.isa << " (" << kernel_library().string() << ")\n"
              << "bf16           " << (table.bf16 == HONE_BF16_BLOCKS ? "bf16-blocks" : "bf16-pairs") << " (what --dtype bf16 means here)\n";
  } catch (const Failure &failure) {
    std::cout << "kernels        missing: " << failure.what() << "\n";
    well = false;
  }
  std::cout << "cuda           "
            << (std::filesystem::exists(kernel_library("cuda")) ? "kernels at " + kernel_library("cuda").string() : "no CUDA kernels in this build: everything runs on the CPU")
            << (std::filesystem::exists("/dev/nvidia0") ? ", a GPU is here" : ", no GPU here") << "\n";
  const Registry registry = Registry::scan(plugin_folders(a.plugins));
  std::cout << "plugins        " << registry.components().size() << " components, " << registry.refusals().size() << " libraries refused\n";
  for (const ComponentInfo &component : registry.components())
    std::cout << "               " << component.room << "/" << component.name << "  " << component.library.string() << "\n";
  for (const Refusal &refusal : registry.refusals()) std::cout << "               refused: " << refusal.sentence << "\n";
  for (const auto &folder : registry.folders_) std::cout << "searched       " << folder.string() << "\n";
  return well && !registry.components().empty() ? 0 : 1;
}

}  // namespace hone
