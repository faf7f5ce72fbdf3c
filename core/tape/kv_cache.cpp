// kv_cache.cpp -- counted pages of keys and values, alike in all attention layers.
#include <algorithm>

#include "core/base/failure.h"
#include "core/base/text.h"
#include "core/tape/tape.h"

namespace hone {

struct KvCache::State {
  const hone_kernels &kernels;
  hone_kv_page_shape shape{};
  std::vector<void *> layers;
  uint64_t layer_bytes = 0;
  std::vector<uint32_t> references, free;  // free: a stack, page 0 on top at first

  explicit State(const hone_kernels &table) : kernels(table) {}
  ~State() {
    for (void *layer : layers) kernels.release(layer);
  }
};

KvCache::KvCache(const hone_kernels &kernels, const hone_model_info &info, uint32_t pages, uint32_t page_tokens)
    : state_(std::make_unique<State>(kernels)) {
  if (page_tokens == 0 || page_tokens % 16)
    throw Failure("a cache page holds a multiple of 16 tokens, not " + std::to_string(page_tokens));
  if (pages == 0) throw Failure("a cache needs at least one page; raise the memory given to it");
  state_->shape = {page_tokens, info.kv_heads, info.key_size, info.value_size};
  const uint64_t bytes = state_->layer_bytes = uint64_t{pages} * kernels.kv_page_bytes(&state_->shape);
  for (uint32_t layer = 0; layer < info.attention_layers; ++layer) {
    void *data = kernels.allocate(bytes);
    if (!data)
      throw Failure("out of memory: the cache needs " + human_bytes(bytes * info.attention_layers) + " for " +
                    std::to_string(pages) + " pages; give it fewer");
    state_->layers.push_back(data);
  }
  state_->references.assign(pages, 0);
  for (uint32_t page = pages; page-- > 0;) state_->free.push_back(page);
}

KvCache::~KvCache() = default;
uint32_t KvCache::page_tokens() const { return state_->shape.page_tokens; }
uint32_t KvCache::pages() const { return static_cast<uint32_t>(state_->references.size()); }
uint32_t KvCache::free_pages() const { return static_cast<uint32_t>(state_->free.size()); }
void *KvCache::layer(uint32_t attention_layer) { return state_->layers.at(attention_layer); }
const hone_kv_page_shape &KvCache::shape() const { return state_->shape; }

uint32_t KvCache::take() {
  if (state_->free.empty()) throw Failure("the cache's " + std::to_string(pages()) + " pages are all in use");
  const uint32_t page = state_->free.back();
  state_->free.pop_back();
  state_->references[page] = 1;
  return page;
}

void KvCache::share(uint32_t page) {
  if (page >= pages() || state_->references[page] == 0)
    throw Failure("cache page " + std::to_string(page) + " is not in use and cannot be shared");
  ++state_->references[page];
}

void KvCache::release(uint32_t page) {
  if (page >= pages() || state_->references[page] == 0)
    throw Failure("cache page " + std::to_string(page) + " is released twice");
  if (--state_->references[page] == 0) state_->free.push_back(page);
}

uint32_t KvCache::references(uint32_t page) const { return state_->references.at(page); }

void KvCache::copy_page(hone_stream &stream, uint32_t to, uint32_t from) {
  if (to >= pages() || from >= pages())
    throw Failure("cache page " + std::to_string(std::max(to, from)) + " does not exist");
  for (void *layer : state_->layers) state_->kernels.copy_page(&stream, &state_->shape, layer, to, from);
}

void KvCache::discard(hone_stream &stream) {
  for (void *layer : state_->layers) state_->kernels.discard(&stream, layer, state_->layer_bytes);
}

}  // namespace hone
