// wrong_objective.cpp -- objectives with the faults that `hone check` is for, chosen by a macro.
#include <hone/objective.hpp>

namespace {

class Wrong final : public hone::Objective {
 public:
  float extra = 0;
  static auto params() { return hone::params(hone::param("extra", &Wrong::extra, "weight of a term that is off", {.min = 0, .max = 1})); }
  void advantages(const hone::Batch &batch, hone_advantages &out) override {
    for (const hone::Group &group : batch.groups())
      for (const hone::Row &row : group.rows)
        for (uint32_t t = row.begin; t < row.end; ++t)
#ifdef CASE_divides_by_zero
          out.advantage[t] = static_cast<float>((row.reward - group.mean) / group.deviation);
#else
          out.advantage[t] = static_cast<float>(row.reward - group.mean);
#endif
#ifdef CASE_past_the_end
    out.advantage[batch->n_tokens] = 1;
#endif
  }
  double loss(const hone::Batch &batch, hone_loss &out) override {
    double total = 0;
#ifdef CASE_own_mean
    const double rows = batch->n_rows;
#else
    const double rows = static_cast<double>(batch->all_rows);
#endif
    for (const hone::Row &row : batch.rows())
      for (uint32_t t = row.begin; t < row.end; ++t) {
        const double ratio = std::exp(batch->logp[t] - batch->logp_const[t]), A = batch->advantage[t];
        total -= ratio * A / (rows * row.size());
#ifdef CASE_wrong_when_extra
        total += extra * batch->logp[t] / (rows * row.size());  // and no derivative of it
#endif
#ifdef CASE_wrong_slope
        out.dlogp[t] = static_cast<float>(ratio * A / (rows * row.size()));
#else
        out.dlogp[t] = static_cast<float>(-ratio * A / (rows * row.size()));
#endif
      }
    return total;
  }
};

}  // namespace

HONE_PLUGIN("org.example.wrong", "1.0.0", hone::component<Wrong>("wrong", "wrong on purpose"));
