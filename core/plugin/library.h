// library.h -- opens a plugin library in this process and checks all that its tables claim.
#pragma once

#include <filesystem>
#include <vector>

#include "core/plugin/registry.h"

namespace hone {

// What a kind of component is: the ABI's id, the user's word, and what its methods must offer.
struct Kind {
  const char *id, *room;
  size_t least_methods;                            // bytes: the interface's first version
  std::vector<size_t> required;                    // offsets of function pointers and tables that may not be null
};
const Kind *find_kind(const std::string &id);      // null: this host does not know it
std::vector<std::string> known_kinds();

struct OpenedComponent {
  hone_component abi;  // this host's view: fields that the plugin does not know are null
  ComponentInfo info;
};
struct OpenedLibrary {
  std::vector<OpenedComponent> components;
};

// A sentence when the library's symbols say that it speaks no ABI of ours; runs nothing of it. "" when it does.
std::string abi_refusal(const std::filesystem::path &);

// Opens it (once; never unloaded) and checks it. Failure with the file, both versions and the remedy.
// Runs the library's constructors, so a first look belongs into a probe.
const OpenedLibrary &open_library(const std::filesystem::path &);

}  // namespace hone
