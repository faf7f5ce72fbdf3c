// main.cpp -- the program `hone`. Hidden arguments make it its own helper: --probe FILE looks at a plugin library, --check-part
// tries one part of it, and --reward-worker FD scores responses for a trainer.
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <iostream>

#include "core/app/verbs.h"
#include "core/base/failure.h"
#include "core/base/log.h"
#include "core/plugin/registry.h"
#include "core/plugin/verbs.h"
#include "core/stage/context.h"
#include "core/stage/worker_services.h"

int main(int argc, char **argv) {
  using namespace hone;
  try {
    if (argc == 3 && std::strcmp(argv[1], "--probe") == 0) return run_probe(argv[2]);
    if (argc >= 2 && std::strcmp(argv[1], "--check-part") == 0) return run_check(argc, argv);
    if (argc == 3 && std::strcmp(argv[1], "--reward-worker") == 0) return run_reward_worker(std::atoi(argv[2]), worker_services());
    Arguments arguments;
    int code = 0;
    if (!parse_command_line(argc, argv, arguments, code)) return code;
    log_level(arguments.quiet ? Level::warning : arguments.verbose ? Level::debug : Level::info);
    return run_verb(arguments);
  } catch (const Interrupted &interruption) {
    std::cerr << "hone: interrupted\n";
    return 128 + interruption.signal;
  } catch (const UsageError &error) {
    std::cerr << "hone: " << error.what() << "\n";
    return 2;
  } catch (const std::bad_alloc &) {
    std::cerr << "hone: out of memory\n";
    return 1;
  } catch (const std::filesystem::filesystem_error &error) {
    std::cerr << "hone: " << error.path1().string() << ": " << error.code().message() << "\n";
    return 1;
  } catch (const std::exception &error) {
    std::cerr << "hone: " << error.what() << "\n";
    return 1;
  }
}
