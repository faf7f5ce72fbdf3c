// elf.h -- the dynamic symbols that an ELF library defines, read without running anything of it.
// Own code, because boost::dll::library_info reads .symtab, which `strip` removes, and crashes on damaged files.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace hone {

struct ElfSymbol {
  std::string name;
  bool unique = false;  // STB_GNU_UNIQUE: the loader makes one of all libraries' copies, whatever the load mode
};

// Failure, beginning with the file's name, when it is not a whole shared library for this machine.
std::vector<ElfSymbol> defined_symbols(const std::filesystem::path &);

}  // namespace hone
