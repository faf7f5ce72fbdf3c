// host.h -- builds the hone_host that plugins see: a list of services by id.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "core/base/pool.h"
#include "hone/ext/host.h"

namespace hone {

// Owns the service structs; must outlive every instance created with it. Services may be added until the first get().
class Host {
 public:
  // Offers log, parallel and random at once; metrics go to `metric` (may be empty: ignored).
  Host(Pool &, uint64_t seed, std::function<void(const std::string &name, double value)> metric = {});
  Host(const Host &) = delete;
  const hone_host &abi() const { return abi_; }
  void offer(const std::string &id, const void *service);  // service outlives this

 private:
  hone_host abi_;
  hone_log log_;
  hone_metrics metrics_;
  hone_parallel parallel_;
  hone_random random_;
  Pool &pool_;
  uint64_t seed_;
  std::function<void(const std::string &, double)> metric_;
  std::map<std::string, const void *> services_;
};

}  // namespace hone
