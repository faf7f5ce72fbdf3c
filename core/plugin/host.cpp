// host.cpp -- the services that need nothing but the pool and a seed: log, metrics, parallel loops, random numbers.
#include "core/plugin/host.h"

#include "core/base/log.h"
#include "core/base/philox.h"
#include "core/base/text.h"

namespace hone {

Host::Host(Pool &pool, uint64_t seed, std::function<void(const std::string &, double)> metric)
    : pool_(pool), seed_(seed), metric_(std::move(metric)) {
  abi_ = {sizeof abi_, HONE_ABI_MINOR, this, [](const hone_host *host, const char *id) -> const void * {
            const Host &self = *static_cast<const Host *>(host->ctx);
            const auto found = id ? self.services_.find(id) : self.services_.end();
            return found == self.services_.end() ? nullptr : found->second;
          }};
  log_ = {sizeof log_, this, [](void *, int32_t level, hone_str text) {
            std::string line = text.size ? with_replaced_invalid_utf8({text.data, text.size}) : std::string();
            for (char &c : line)
              if (static_cast<unsigned char>(c) < 0x20 && c != '\t') c = ' ';  // one line, and no terminal control
            log_line(level <= HONE_DEBUG     ? Level::debug
                     : level == HONE_INFO    ? Level::info
                     : level == HONE_WARNING ? Level::warning
                                             : Level::problem,
                     line);
          }};
  metrics_ = {sizeof metrics_, this, [](void *ctx, hone_str name, double value) {
                const Host &self = *static_cast<Host *>(ctx);
                if (self.metric_ && name.size) self.metric_(with_replaced_invalid_utf8({name.data, name.size}), value);
              }};
  parallel_ = {sizeof parallel_, this, [](void *ctx) { return static_cast<Host *>(ctx)->pool_.threads(); },
               [](void *ctx, uint64_t n, uint64_t grain, void (*body)(void *, uint64_t, uint64_t), void *arg) {
                 static_cast<Host *>(ctx)->pool_.loop(n, grain, body, arg);
               }};
  random_ = {sizeof random_, this,
             [](void *ctx, uint32_t stage, uint32_t step, uint32_t row, uint32_t token, uint32_t out[4]) {
               const auto bits = random_bits({static_cast<Host *>(ctx)->seed_, Purpose::plugin, stage, step, row, token});
               for (size_t i = 0; i < 4; ++i) out[i] = bits[i];
             }};
  offer(HONE_HOST_LOG, &log_);
  offer(HONE_HOST_METRICS, &metrics_);
  offer(HONE_HOST_PARALLEL, &parallel_);
  offer(HONE_HOST_RANDOM, &random_);
}

void Host::offer(const std::string &id, const void *service) { services_[id] = service; }

}  // namespace hone
