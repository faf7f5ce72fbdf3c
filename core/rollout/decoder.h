// decoder.h -- decodes rows side by side over one KV cache: continuous batching, chunked prefill, shared prompts.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/rollout/prefix_tree.h"
#include "core/rollout/sampler.h"
#include "core/tape/float_buffer.h"

namespace hone {

// Rows of one prompt that are handed to one decoder; or no row, and what the value head says after the prompt.
struct DecodeJob {
  const std::vector<int32_t> *prompt;
  uint32_t first_row;   // keys the random numbers
  size_t first_result;  // where the first of them goes
  uint32_t rows;
  uint32_t max_tokens;  // of a row
  ValuedSequence *valued = nullptr;
};

// Runs on one thread. Pages for a row are reserved when it starts, so that a row once started always ends. A pass that starts no
// row allocates nothing, once one as large has been.
class Decoder {
 public:
  struct Limits {
    uint32_t max_rows;
    uint64_t kv_bytes;
    uint32_t prefill_tokens;
    bool keep_prefixes;  // then the cache is as large as kv_bytes allows
  };
  struct Expected {
    uint32_t rows, longest_prompt, longest_response;
  };
  Decoder(const hone_kernels &, const hone_stream &);

  // next_job() gives the next job, or null; done() takes a finished row; keep_on() is asked between passes.
  // Returns false when keep_on() said no; nothing is kept then.
  bool run(const Weights &, const Tokenizer *, const SampleSettings &, const Limits &,
           const std::function<const DecodeJob *()> &next_job, const std::function<void(size_t, SampledRow &&)> &done,
           const std::function<bool()> &keep_on, const Expected &);
  uint32_t known(const Weights &, const std::vector<int32_t> &prompt) const;  // tokens of it that need not be computed
  // Gives the cache's memory back until the next run, which keeps its place: a training step can use it meanwhile.
  void discard_cache();

 private:
  struct Prompt {
    const DecodeJob *job;
    std::vector<uint32_t> pages;
    uint32_t reused = 0;        // tokens that were in the cache before
    const void *filler = nullptr;  // another prompt, that has yet to compute what this one shares with it
    uint32_t filled = 0;        // tokens already in the cache
    uint32_t started = 0;       // rows
    std::vector<float> logits;  // of the first token of every row, once filled
    bool ready() const { return filled == job->prompt->size(); }
  };
  struct Row {
    const std::vector<int32_t> *prompt;
    size_t result;
    uint32_t key;                   // the row's number in the random key
    uint32_t prompt_tokens, limit;  // limit: most tokens it may have
    std::vector<uint32_t> pages;
    uint32_t reserved = 0;  // pages promised and not taken yet
    SampledRow sampled;
  };

  void prepare_cache(const Weights &, const Limits &, const Expected &);
  void drop_cache();
  uint32_t row_limit(const DecodeJob &) const;
  uint32_t pages_for(uint32_t tokens) const { return (tokens + page_tokens_ - 1) / page_tokens_; }
  bool admit_prompt(const DecodeJob &);
  void finish_prompt(Prompt &);
  void start_rows();
  void pass();
  void sample(std::vector<Row *> &rows, const float *logits);
  void find_values(const float *hidden);
  bool ended(Row &) const;
  bool hits_stop_string(const std::vector<int32_t> &ids) const;
  void release(Row &);
  bool has_room(uint32_t pages) const { return prefixes_->available() >= uint64_t{reserved_} + pages; }

  const hone_kernels &kernels_;
  hone_stream stream_;
  Tape tape_;
  Head head_;
  FloatBuffer last_hidden_, logits_, value_out_;
  std::unique_ptr<KvCache> cache_;
  std::unique_ptr<PrefixTree> prefixes_;  // of cache_
  uint64_t prefixes_of_ = 0;              // the version of the weights that computed them
  uint32_t cache_layers_ = 0;
  uint32_t page_tokens_ = 32;

  // of one run
  const Weights *weights_ = nullptr;
  const Tokenizer *tokenizer_ = nullptr;
  const SampleSettings *settings_ = nullptr;
  Limits limits_{};
  const std::function<void(size_t, SampledRow &&)> *done_ = nullptr;
  std::list<Prompt> prompts_;    // waiting for prefill, or with rows yet to start
  std::list<Row> rows_;          // decoding
  uint32_t reserved_ = 0;        // pages promised to rows_ and to prompts_
  uint32_t committed_rows_ = 0;  // rows_ and the rows that prompts_ still have to start
  size_t longest_stop_ = 0;      // bytes
  // of one pass, kept for their room
  std::vector<Row *> decoding_, fresh_, sampling_;
  std::vector<Prompt *> filled_, valued_;
  std::vector<const std::vector<uint32_t> *> tables_;
  std::vector<int32_t> ids_;
  std::vector<uint32_t> row_start_, first_position_, page_table_, last_places_, value_places_;
  std::vector<float> uniform_, logp_, values_;
  std::vector<int32_t> whole_;
  std::vector<int32_t> token_;
};

}  // namespace hone
