// sampled_rows.h -- responses that a model sampled as the rows that train it, for tests: a group for each request, rewards still 0.
#pragma once

#include <random>
#include <vector>

#include "core/rollout/sampler.h"
#include "core/train/trainer.h"
#include "tests/support/tiny_model.h"

namespace hone {

// Prompts of 3 tokens and up to lengths - 1 more, in turn.
inline std::vector<SampleRequest> made_up_requests(std::mt19937 &random, uint32_t prompts, uint32_t generations, uint32_t lengths) {
  std::vector<SampleRequest> requests;
  for (uint32_t i = 0; i < prompts; ++i) {
    SampleRequest request;
    for (uint32_t t = 0; t < 3 + i % lengths; ++t) request.prompt.push_back(static_cast<int32_t>(random() % tiny_vocabulary));
    request.num_generations = generations;
    request.first_row = i * generations;
    requests.push_back(request);
  }
  return requests;
}

// requests: each with as many responses. Token 7 ends one.
inline std::vector<TrainRow> sampled_rows(Sampler &&sampler, const Weights &weights, const std::vector<SampleRequest> &requests, SampleSettings settings) {
  settings.stop_ids = {7};
  const auto sampled = sampler.generate(weights, nullptr, requests, settings);
  const size_t generations = sampled.size() / requests.size();
  std::vector<TrainRow> rows;
  for (size_t i = 0; i < sampled.size(); ++i) {
    TrainRow row;
    row.ids = requests[i / generations].prompt;
    row.begin = row.response_begin = static_cast<uint32_t>(row.ids.size());
    row.ids.insert(row.ids.end(), sampled[i].ids.begin(), sampled[i].ids.end());
    row.logp_rollout = sampled[i].logp;
    row.group = static_cast<uint32_t>(i / generations);
    rows.push_back(row);
  }
  return rows;
}

}  // namespace hone
