// dpo.cpp -- Direct Preference Optimization, arXiv 2305.18290, eq. 7; its cautious form by label_smoothing (cDPO); and IPO, arXiv
// 2310.12036, eq. 17.
//
//   h       = log p(y) - log p_ref(y)                            sums over a response's tokens
//   sigmoid: loss = mean over pairs of - (1 - s) log sigmoid(beta (h_chosen - h_rejected)) - s log sigmoid(beta (h_rejected - h_chosen))
//   ipo:     loss = mean over pairs of (h_chosen / |y_chosen| - h_rejected / |y_rejected| - 1 / (2 beta))^2
//
// IPO's averages over a response's length are TRL's, which its authors confirmed.
#include <hone/objective.hpp>

namespace {

class Dpo final : public hone::Objective {
 public:
  float beta = 0.1f;  // TRL's
  std::string loss_type = "sigmoid";
  float label_smoothing = 0;

  static auto params() {
    return hone::params(hone::param("beta", &Dpo::beta, "how closely the reference model is kept to; more: closer", {.min = 1e-6}),
                        hone::param("loss_type", &Dpo::loss_type, "sigmoid: DPO; ipo: IPO", {.choices = {"sigmoid", "ipo"}}),
                        hone::param("label_smoothing", &Dpo::label_smoothing, "share of pairs that are thought to be labelled wrongly (sigmoid)",
                                    {.min = 0, .max = 0.5}));
  }

  uint32_t source() const override { return HONE_PAIRS; }
  uint64_t needs() const override { return HONE_LOGP_REF; }

  double loss(const hone::Batch &batch, hone_loss &out) override {
    const double share = 1.0 / double(batch->all_groups);
    double total = 0;
    for (const hone::Pair &pair : batch.pairs()) {
      const bool ipo = loss_type == "ipo";
      const double per_chosen = ipo ? 1 / length(batch, pair.chosen) : 1, per_rejected = ipo ? 1 / length(batch, pair.rejected) : 1;
      const double apart = per_chosen * moved(batch, pair.chosen) - per_rejected * moved(batch, pair.rejected);
      double value, slope;
      if (ipo) {
        const double off = apart - 1 / (2 * double(beta));
        value = off * off, slope = 2 * off;
      } else {
        const hone::LogisticLoss right = hone::logistic_loss(beta * apart), wrong = hone::logistic_loss(-beta * apart);
        const double s = label_smoothing;
        value = (1 - s) * right.value + s * wrong.value;
        slope = beta * ((1 - s) * right.slope - s * wrong.slope);
      }
      total += share * value;
      for (uint32_t t = pair.chosen.begin; t < pair.chosen.end; ++t) out.dlogp[t] = static_cast<float>(share * slope * per_chosen * batch->weight[t]);
      for (uint32_t t = pair.rejected.begin; t < pair.rejected.end; ++t)
        out.dlogp[t] = static_cast<float>(-share * slope * per_rejected * batch->weight[t]);
    }
    return total;
  }

 private:
  static double moved(const hone::Batch &batch, const hone::Row &row) {
    double sum = 0;
    for (uint32_t t = row.begin; t < row.end; ++t) sum += batch->weight[t] * (double(batch->logp[t]) - batch->logp_ref[t]);
    return sum;
  }
  static double length(const hone::Batch &batch, const hone::Row &row) {
    double sum = 0;
    for (uint32_t t = row.begin; t < row.end; ++t) sum += batch->weight[t];
    return sum > 0 ? sum : 1;
  }
};

}  // namespace

HONE_PLUGIN("hone.dpo", "1.0.0", hone::component<Dpo>("dpo", "Learns preferences from pairs without a reward model (DPO, IPO)."));
