// decoder.cpp -- continuous batching: every pass decodes one token of each live row and prefills what fits beside them.
#include "core/rollout/decoder.h"

#include <algorithm>
#include <cstring>

#include "core/base/philox.h"

namespace hone {
namespace {

constexpr uint32_t most_reserved = 4096;        // tokens of a row that room is made for beforehand
constexpr uint64_t most_logits = 4'000'000;  // floats of logits at once: bounds the memory of large vocabularies

bool same_shape(const hone_kv_page_shape &a, const hone_kv_page_shape &b) {
  return a.page_tokens == b.page_tokens && a.kv_heads == b.kv_heads && a.key_size == b.key_size &&
         a.value_size == b.value_size;
}

}  // namespace

Decoder::Decoder(const hone_kernels &kernels, const hone_stream &stream)
    : kernels_(kernels),
      stream_(stream),
      tape_(kernels, stream),
      head_(kernels, stream),
      last_hidden_(kernels),
      logits_(kernels),
      value_out_(kernels) {}

// A row stops at max_tokens, or where the model's positions end. The last token of a row is never run through the
// model.
uint32_t Decoder::row_limit(const DecodeJob &job) const {
  const uint64_t room = uint64_t{weights_->architecture().info().max_positions} - job.prompt->size();
  return job.rows == 0 ? 0 : static_cast<uint32_t>(std::min<uint64_t>(job.max_tokens, room));
}

void Decoder::drop_cache() {
  prefixes_.reset();
  cache_.reset();
}

void Decoder::discard_cache() {
  if (!cache_) return;
  prefixes_->clear();
  cache_->discard(stream_);
}

uint32_t Decoder::known(const Weights &weights, const std::vector<int32_t> &prompt) const {
  return prefixes_ && prefixes_of_ == weights.version() ? prefixes_->known({prompt.data(), prompt.size() - 1}) : 0;
}

void Decoder::prepare_cache(const Weights &weights, const Limits &limits, const Expected &expected) {
  const hone_model_info &info = weights.architecture().info();
  const hone_kv_page_shape shape{page_tokens_, info.kv_heads, info.key_size, info.value_size};
  const uint64_t page_bytes = std::max<uint64_t>(1, kernels_.kv_page_bytes(&shape) * info.attention_layers);
  const uint64_t affordable = limits.kv_bytes / page_bytes;
  const uint32_t longest_prompt = expected.longest_prompt;
  const uint64_t longest = std::min<uint64_t>(uint64_t{longest_prompt} + expected.longest_response, info.max_positions);
  // Every row live at once, each beside a prompt of its own: no run can use more.
  const uint64_t rows = std::min<uint64_t>(limits.max_rows, std::max<uint32_t>(expected.rows, 1));
  const uint64_t useful = rows * (pages_for(static_cast<uint32_t>(longest)) + pages_for(longest_prompt));
  const uint64_t needed = pages_for(static_cast<uint32_t>(longest)) + pages_for(longest_prompt);
  if (affordable < needed)
    throw Failure("the KV cache of " + human_bytes(limits.kv_bytes) + " holds " +
                  std::to_string(affordable * page_tokens_) + " tokens, but one row may need " +
                  std::to_string(needed * page_tokens_) + "; lower max_completion_length or give it more memory");
  const uint32_t pages = static_cast<uint32_t>(std::min<uint64_t>({affordable, limits.keep_prefixes ? UINT32_MAX : useful, UINT32_MAX}));
  // A cache that is larger than the limit allows is not reused: what was asked for must hold.
  const bool fits = cache_ && same_shape(cache_->shape(), shape) && cache_layers_ == info.attention_layers &&
                    cache_->pages() >= pages && cache_->pages() <= affordable &&
                    prefixes_->available() == cache_->pages();
  if (!fits) {
    drop_cache();
    cache_ = std::make_unique<KvCache>(kernels_, info, pages, page_tokens_);
    prefixes_ = std::make_unique<PrefixTree>(*cache_);
    cache_layers_ = info.attention_layers;
  }
  if (prefixes_of_ != weights.version()) prefixes_->clear();
  prefixes_of_ = weights.version();
  prefixes_->keep(limits.keep_prefixes ? cache_->pages() : 0);
}

// What the row held stays for those that begin as it did, if that is wanted; its last token was never run.
void Decoder::release(Row &row) {
  if (limits_.keep_prefixes) {
    whole_ = *row.prompt;
    whole_.insert(whole_.end(), row.sampled.ids.begin(), row.sampled.ids.end() - 1);
    prefixes_->insert(whole_, row.pages);
  }
  prefixes_->release(row.pages);
}

void Decoder::finish_prompt(Prompt &prompt) {
  if (limits_.keep_prefixes) prefixes_->insert(*prompt.job->prompt, prompt.pages);
  prefixes_->release(prompt.pages);
}

// A prompt is admitted with pages for itself and for one row at least, so that prompts alone can never fill the cache. All
// of it but its last token, whose state is wanted, may be there already.
bool Decoder::admit_prompt(const DecodeJob &job) {
  const uint32_t tokens = static_cast<uint32_t>(job.prompt->size());
  const uint32_t all = pages_for(tokens), row = job.rows == 0 ? 0 : pages_for(tokens + row_limit(job)) - tokens / page_tokens_;
  PrefixTree::Match there = prefixes_->match({job.prompt->data(), tokens - 1});
  const auto shared = static_cast<uint32_t>(there.pages.size());
  std::vector<uint32_t> part;  // to copy from; held meanwhile
  if (there.part >= 0) part.push_back(static_cast<uint32_t>(there.part));
  if (!part.empty() && !has_room(all - shared + row)) {  // it may be what is in the way
    prefixes_->release(part);
    there.tokens = shared * page_tokens_;
  }
  if (!has_room(all - shared + row)) {
    prefixes_->release(there.pages);
    return false;
  }
  Prompt &prompt = prompts_.emplace_back();
  prompt.job = &job;
  prompt.pages = std::move(there.pages);
  while (prompt.pages.size() < all) prompt.pages.push_back(prefixes_->take());
  if (!part.empty()) {
    cache_->copy_page(stream_, prompt.pages[shared], part[0]);
    prefixes_->release(part);
  }
  prompt.filler = there.filler;
  prompt.filled = prompt.reused = there.tokens;
  prefixes_->insert_unfilled(*job.prompt, prompt.pages, &prompt);
  reserved_ += row;  // its first row's
  committed_rows_ += job.rows;
  return true;
}

// Starts rows of filled prompts while there is room, each with its first token sampled from the prompt's logits.
void Decoder::start_rows() {
  const uint32_t V = weights_->architecture().info().vocab_size;
  const size_t most = std::max<uint64_t>(1, most_logits / V);
  for (auto prompt = prompts_.begin(); prompt != prompts_.end();) {
    if (!prompt->ready()) {
      ++prompt;
      continue;
    }
    const DecodeJob &job = *prompt->job;
    const uint32_t tokens = static_cast<uint32_t>(job.prompt->size()), limit = row_limit(job);
    const uint32_t shared = tokens / page_tokens_, own = pages_for(tokens + limit) - shared;
    fresh_.clear();
    const auto sample_fresh = [&] {
      if (fresh_.empty()) return;
      logits_.at_least(fresh_.size() * uint64_t{V});
      for (size_t i = 0; i < fresh_.size(); ++i)
        kernels_.copy_in(&stream_, logits_.data() + i * V, prompt->logits.data(), V * sizeof(float));
      sample(fresh_, logits_.data());
      fresh_.clear();
    };
    while (prompt->started < job.rows && rows_.size() < limits_.max_rows) {
      if (prompt->started > 0) {  // the first row's pages were reserved with the prompt
        if (!has_room(own)) break;
        reserved_ += own;
      }
      Row &row = rows_.emplace_back();
      row.prompt = job.prompt;
      row.result = job.first_result + prompt->started;
      row.sampled.reused = prompt->started == 0 ? prompt->reused : tokens;
      row.key = job.first_row + prompt->started;
      row.prompt_tokens = tokens;
      row.limit = limit;
      row.reserved = own;
      row.pages.reserve(shared + own);
      row.sampled.ids.reserve(std::min(limit, most_reserved));
      row.sampled.logp.reserve(std::min(limit, most_reserved));
      for (uint32_t i = 0; i < shared; ++i) {
        prefixes_->share(prompt->pages[i]);
        row.pages.push_back(prompt->pages[i]);
      }
      if (tokens % page_tokens_ != 0) {
        row.pages.push_back(prefixes_->take());
        --row.reserved, --reserved_;
        cache_->copy_page(stream_, row.pages.back(), prompt->pages[shared]);
      }
      ++prompt->started;
      fresh_.push_back(&row);
      if (fresh_.size() == most) sample_fresh();
    }
    sample_fresh();
    if (prompt->started == job.rows) {
      finish_prompt(*prompt);
      prompt = prompts_.erase(prompt);
    } else {
      ++prompt;
    }
  }
}

bool Decoder::hits_stop_string(const std::vector<int32_t> &ids) const {
  if (longest_stop_ == 0) return false;
  // The newest token must take part in the match, and a token is a byte of text at least: a window is enough.
  const size_t window = std::min(ids.size(), longest_stop_ + 8);
  const std::string text = tokenizer_->decode({ids.end() - static_cast<ptrdiff_t>(window), ids.end()});
  return std::any_of(settings_->stop_strings.begin(), settings_->stop_strings.end(),
                     [&](const std::string &stop) { return text.find(stop) != std::string::npos; });
}

bool Decoder::ended(Row &row) const {
  const std::vector<int32_t> &ids = row.sampled.ids, &stops = settings_->stop_ids;
  const bool stopped = settings_->on_token && !settings_->on_token(row.result, ids.back());
  const auto end = [&row](RowEnd why) {
    row.sampled.end = why;
    return true;
  };
  if (std::find(stops.begin(), stops.end(), ids.back()) != stops.end()) return end(RowEnd::end_token);
  const bool no_position = row.prompt_tokens + ids.size() >= weights_->architecture().info().max_positions;
  if (hits_stop_string(ids)) return end(no_position ? RowEnd::positions : RowEnd::stop_text);
  row.sampled.truncated = stopped || ids.size() >= row.limit;
  return row.sampled.truncated && end(no_position ? RowEnd::positions : RowEnd::length);
}

// Samples the next token of each row from its logits; rows that end are handed over and leave rows_.
void Decoder::sample(std::vector<Row *> &rows, const float *logits) {
  const uint32_t n = static_cast<uint32_t>(rows.size()), V = weights_->architecture().info().vocab_size;
  const hone_sample_args args{settings_->temperature, settings_->top_p, settings_->min_p, settings_->top_k};
  uniform_.resize(n), token_.resize(n), logp_.resize(n);
  for (uint32_t i = 0; i < n; ++i)
    uniform_[i] = random_uniform({settings_->seed, Purpose::sampling, settings_->stage, settings_->step, rows[i]->key,
                                  static_cast<uint32_t>(rows[i]->sampled.ids.size())});
  kernels_.sample(&stream_, n, V, logits, &args, uniform_.data(), token_.data(), logp_.data());
  for (uint32_t i = 0; i < n; ++i) {
    rows[i]->sampled.ids.push_back(token_[i]);
    rows[i]->sampled.logp.push_back(logp_[i]);
  }
  for (Row *row : rows)
    if (ended(*row)) {
      release(*row);
      reserved_ -= row->reserved;
      --committed_rows_;
      (*done_)(row->result, std::move(row->sampled));
      row->limit = 0;  // marks it for the sweep below
    }
  rows_.remove_if([](const Row &row) { return row.limit == 0; });
}

// One pass of the model: a token of each live row, then as much of the waiting prompts as prefill_tokens allows.
void Decoder::pass() {
  const hone_model_info &info = weights_->architecture().info();
  ids_.clear(), row_start_.assign(1, 0), first_position_.clear(), last_places_.clear();
  decoding_.clear(), tables_.clear(), filled_.clear(), valued_.clear(), value_places_.clear();
  for (Row &row : rows_) {
    const uint32_t position = row.prompt_tokens + static_cast<uint32_t>(row.sampled.ids.size()) - 1;
    if (position / page_tokens_ == row.pages.size()) {
      row.pages.push_back(prefixes_->take());
      --row.reserved, --reserved_;
    }
    ids_.push_back(row.sampled.ids.back());
    first_position_.push_back(position);
    tables_.push_back(&row.pages);
    last_places_.push_back(static_cast<uint32_t>(ids_.size()) - 1);
    row_start_.push_back(static_cast<uint32_t>(ids_.size()));
    decoding_.push_back(&row);
  }
  uint32_t room = limits_.prefill_tokens;
  for (Prompt &prompt : prompts_) {
    if (prompt.ready() || prompt.filler) continue;
    if (room == 0) break;
    const std::vector<int32_t> &tokens = *prompt.job->prompt;
    const uint32_t count = std::min<uint32_t>(room, static_cast<uint32_t>(tokens.size()) - prompt.filled);
    ids_.insert(ids_.end(), tokens.begin() + prompt.filled, tokens.begin() + prompt.filled + count);
    first_position_.push_back(prompt.filled);
    tables_.push_back(&prompt.pages);
    row_start_.push_back(static_cast<uint32_t>(ids_.size()));
    prompt.filled += count;
    room -= count;
    if (prompt.ready()) {
      const bool valued = prompt.job->valued != nullptr;
      (valued ? value_places_ : last_places_).push_back(static_cast<uint32_t>(ids_.size()) - 1);
      (valued ? valued_ : filled_).push_back(&prompt);
    }
  }
  size_t max_pages = 0;
  for (const auto *pages : tables_) max_pages = std::max(max_pages, pages->size());
  page_table_.assign(tables_.size() * max_pages, 0);
  for (size_t i = 0; i < tables_.size(); ++i)
    std::copy(tables_[i]->begin(), tables_[i]->end(), &page_table_[i * max_pages]);

  const float *hidden = tape_.forward_cached(*weights_, {ids_, row_start_}, first_position_, page_table_,
                                             static_cast<uint32_t>(max_pages), *cache_);
  for (auto *some : {&filled_, &valued_})
    for (const Prompt *prompt : *some) {
      prefixes_->filled(prompt->pages, prompt);
      for (Prompt &other : prompts_)
        if (other.filler == prompt) other.filler = nullptr;
    }
  find_values(hidden);
  const uint32_t C = info.hidden_size, V = info.vocab_size, n = static_cast<uint32_t>(last_places_.size());
  last_hidden_.at_least(uint64_t{n} * C);
  kernels_.gather_rows(&stream_, n, C, 1, last_places_.data(), hidden, last_hidden_.data());
  const uint32_t most = static_cast<uint32_t>(std::max<uint64_t>(1, most_logits / V));
  for (uint32_t from = 0; from < n; from += most) {
    const uint32_t count = std::min(most, n - from);
    const float *logits = head_.logits(*weights_, count, last_hidden_.data() + uint64_t{from} * C);
    const uint32_t in_decoding = static_cast<uint32_t>(decoding_.size());
    for (uint32_t i = std::max(from, in_decoding); i < from + count; ++i) {
      std::vector<float> &kept = filled_[i - in_decoding]->logits;
      kept.resize(V);
      kernels_.copy_out(&stream_, kept.data(), logits + uint64_t{i - from} * V, V * sizeof(float));
    }
    if (from < in_decoding) {
      sampling_.assign(decoding_.begin() + from, decoding_.begin() + std::min(from + count, in_decoding));
      sample(sampling_, logits);
    }
  }
}

void Decoder::find_values(const float *hidden) {
  const uint32_t n = static_cast<uint32_t>(valued_.size()), C = weights_->architecture().info().hidden_size;
  if (n == 0) return;
  last_hidden_.at_least(uint64_t{n} * C);
  kernels_.gather_rows(&stream_, n, C, 1, value_places_.data(), hidden, last_hidden_.data());
  kernels_.value_head(&stream_, n, C, last_hidden_.data(), weights_->value_head(), value_out_.at_least(n));
  values_.resize(n);
  kernels_.copy_out(&stream_, values_.data(), value_out_.data(), n * sizeof(float));
  for (uint32_t i = 0; i < n; ++i) *valued_[i]->job->valued = {values_[i], valued_[i]->reused};
}

bool Decoder::run(const Weights &weights, const Tokenizer *tokenizer, const SampleSettings &settings,
                  const Limits &limits, const std::function<const DecodeJob *()> &next_job,
                  const std::function<void(size_t, SampledRow &&)> &done, const std::function<bool()> &keep_on,
                  const Expected &expected) {
  weights_ = &weights, tokenizer_ = tokenizer, settings_ = &settings, limits_ = limits, done_ = &done;
  prompts_.clear(), rows_.clear();
  reserved_ = committed_rows_ = 0;
  longest_stop_ = 0;
  for (const std::string &stop : settings.stop_strings) longest_stop_ = std::max(longest_stop_, stop.size());
  prepare_cache(weights, limits, expected);

  const DecodeJob *waiting = nullptr;  // taken, but without pages so far
  try {
    for (;;) {
      if (!keep_on()) {
        drop_cache();
        return false;
      }
      while (committed_rows_ < limits.max_rows) {
        if (!waiting && !(waiting = next_job())) break;
        if (!admit_prompt(*waiting)) break;
        waiting = nullptr;
      }
      if (!waiting && prompts_.empty() && rows_.empty()) break;
      start_rows();
      // Rows of one token end at once: then there may be nothing to run, and more to admit.
      const bool prefill = std::any_of(prompts_.begin(), prompts_.end(), [](const Prompt &p) { return !p.ready(); });
      if (!rows_.empty() || prefill) pass();
    }
  } catch (...) {
    drop_cache();  // pages of the rows that were live are not accounted for
    throw;
  }
  return true;
}

}  // namespace hone
