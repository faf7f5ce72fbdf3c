// main.cpp -- main() of the test programs: the tests, or the hidden arguments with which the host starts itself anew.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>
#include <string>

namespace hone {
// Defined when the test program contains that room; a test program without it never starts itself so.
__attribute__((weak)) int run_probe(const std::string &file);
__attribute__((weak)) int run_check(int argc, char **argv);
}  // namespace hone

#if defined(__SANITIZE_ADDRESS__)
#define HONE_UNDER_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#define HONE_UNDER_ADDRESS_SANITIZER __has_feature(address_sanitizer)
#endif

int main(int argc, char **argv) {
  if (argc == 3 && std::strcmp(argv[1], "--probe") == 0 && hone::run_probe) return hone::run_probe(argv[2]);
  if (argc >= 3 && std::strcmp(argv[1], "--check-part") == 0 && hone::run_check) return hone::run_check(argc, argv);
#if HONE_UNDER_ADDRESS_SANITIZER
  // Children that are meant to crash shall die of their signal, as they do without the sanitizer.
  const char *options = std::getenv("ASAN_OPTIONS");
  setenv("ASAN_OPTIONS", (std::string(options ? options : "") + ":handle_segv=0:handle_sigbus=0:handle_abort=0").c_str(), 1);
#endif
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
