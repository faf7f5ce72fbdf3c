// elf.cpp -- reads .dynsym of a 64-bit ELF file, every offset checked against the file's size.
#include "core/plugin/elf.h"

#include <elf.h>

#include <cstring>
#include <string_view>

#include "core/base/failure.h"
#include "core/base/file.h"

namespace hone {
namespace {

#if defined(__x86_64__)
constexpr uint16_t kMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr uint16_t kMachine = EM_AARCH64;
#else
#error "name this machine's ELF number here"
#endif

class ElfFile {
 public:
  ElfFile(const std::filesystem::path &path, std::string bytes) : path_(path), bytes_(std::move(bytes)) {}

  std::vector<ElfSymbol> defined() const {
    if (bytes_.rfind(ELFMAG, 0) != 0)
      fail("is not a shared library (no ELF file)");
    if (bytes_.size() < sizeof(Elf64_Ehdr)) fail("is cut short: it ends within the ELF header; build or copy it again");
    const auto header = at<Elf64_Ehdr>(0);
    if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != kMachine)
      fail("is built for another kind of machine (ELF class " + std::to_string(header.e_ident[EI_CLASS]) + ", machine " +
           std::to_string(header.e_machine) + ", this machine is " + std::to_string(kMachine) + "); build it for this one");
    if (header.e_type != ET_DYN) fail("is an ELF file but no shared library; link it with -shared");
    if (header.e_shnum == 0 || header.e_shentsize != sizeof(Elf64_Shdr)) fail("is damaged: it has no usable section table; build it again");
    std::vector<ElfSymbol> out;
    for (uint64_t s = 0; s < header.e_shnum; ++s) {
      const auto symbols = section(header, s);
      if (symbols.sh_type != SHT_DYNSYM) continue;
      if (symbols.sh_entsize != sizeof(Elf64_Sym) || symbols.sh_link >= header.e_shnum) fail_damaged();
      const auto strings = section(header, symbols.sh_link);
      if (strings.sh_type != SHT_STRTAB) fail_damaged();
      const std::string_view names = part(strings.sh_offset, strings.sh_size);
      part(symbols.sh_offset, symbols.sh_size);
      for (uint64_t i = 0; i < symbols.sh_size / sizeof(Elf64_Sym); ++i) {
        const auto symbol = at<Elf64_Sym>(symbols.sh_offset + i * sizeof(Elf64_Sym));
        const unsigned bind = ELF64_ST_BIND(symbol.st_info);
        if (symbol.st_shndx == SHN_UNDEF || bind == STB_LOCAL) continue;
        if (symbol.st_name >= names.size()) fail_damaged();
        const size_t end = names.find('\0', symbol.st_name);
        if (end == names.npos) fail_damaged();
        out.push_back({std::string(names.substr(symbol.st_name, end - symbol.st_name)), bind == STB_GNU_UNIQUE});
      }
    }
    // What the loader maps must be there too, or it raises SIGBUS.
    if (header.e_phentsize != sizeof(Elf64_Phdr)) fail_damaged();
    for (uint64_t p = 0; p < header.e_phnum; ++p) {
      const auto segment = at<Elf64_Phdr>(header.e_phoff + p * sizeof(Elf64_Phdr));
      if (segment.p_type == PT_LOAD) part(segment.p_offset, segment.p_filesz);
    }
    return out;
  }

 private:
  [[noreturn]] void fail(const std::string &what) const { throw Failure(path_.string() + ": " + what); }
  [[noreturn]] void fail_damaged() const { fail("is damaged or cut short; build or copy it again"); }
  std::string_view part(uint64_t offset, uint64_t size) const {
    if (offset > bytes_.size() || size > bytes_.size() - offset) fail_damaged();
    return std::string_view(bytes_).substr(offset, size);
  }
  template <class T>
  T at(uint64_t offset) const {
    T out;
    std::memcpy(&out, part(offset, sizeof out).data(), sizeof out);
    return out;
  }
  Elf64_Shdr section(const Elf64_Ehdr &header, uint64_t i) const {
    if (header.e_shoff > bytes_.size()) fail_damaged();
    return at<Elf64_Shdr>(header.e_shoff + i * sizeof(Elf64_Shdr));
  }

  const std::filesystem::path &path_;
  const std::string bytes_;
};

}  // namespace

std::vector<ElfSymbol> defined_symbols(const std::filesystem::path &path) {
  if (!std::filesystem::is_regular_file(path)) throw Failure(path.string() + ": is not a file");
  const ElfFile file(path, read_file(path));
  return file.defined();
}

}  // namespace hone
