// muon_reference.h -- Muon's update in double and in plain loops, as Jordan et al. (2024) and arXiv 2502.16982 write it.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace hone::reference {

struct Matrix {
  size_t rows, columns;
  std::vector<double> x;
  Matrix(size_t rows, size_t columns) : rows(rows), columns(columns), x(rows * columns, 0.0) {}
  double &operator()(size_t i, size_t j) { return x[i * columns + j]; }
  double operator()(size_t i, size_t j) const { return x[i * columns + j]; }
};

inline Matrix product(const Matrix &a, const Matrix &b) {
  Matrix c(a.rows, b.columns);
  for (size_t i = 0; i < a.rows; ++i)
    for (size_t k = 0; k < a.columns; ++k)
      for (size_t j = 0; j < b.columns; ++j) c(i, j) += a(i, k) * b(k, j);
  return c;
}

inline Matrix transposed(const Matrix &a) {
  Matrix t(a.columns, a.rows);
  for (size_t i = 0; i < a.rows; ++i)
    for (size_t j = 0; j < a.columns; ++j) t(j, i) = a(i, j);
  return t;
}

inline Matrix newton_schulz(Matrix x, int steps) {
  double squares = 0;
  for (const double v : x.x) squares += v * v;
  for (double &v : x.x) v /= std::max(std::sqrt(squares), 1e-7);
  for (int step = 0; step < steps; ++step) {
    // Whichever side is short: both give the same in exact arithmetic.
    const bool wide = x.rows <= x.columns;
    const Matrix a = wide ? product(x, transposed(x)) : product(transposed(x), x), square = product(a, a);
    Matrix p(a.rows, a.columns);
    for (size_t i = 0; i < p.x.size(); ++i) p.x[i] = -4.7750 * a.x[i] + 2.0315 * square.x[i];
    for (size_t i = 0; i < p.rows; ++i) p(i, i) += 3.4445;
    x = wide ? product(p, x) : product(x, p);
  }
  return x;
}

struct MuonSettings {
  double learning_rate = 0.02, momentum = 0.95, weight_decay = 0.01;
  bool nesterov = true;
  int ns_steps = 5;
  std::string scale = "original";
  double adamw_learning_rate = 3e-4, beta1 = 0.9, beta2 = 0.95, epsilon = 1e-10;
};

// One update with gradient g (already clipped) of a parameter p; state is zero before the first.
inline void matrix_update(const MuonSettings &s, double factor, bool decay, const Matrix &g, Matrix &p, Matrix &momentum) {
  const double rows = static_cast<double>(p.rows), columns = static_cast<double>(p.columns);
  Matrix direction(p.rows, p.columns);
  for (size_t i = 0; i < p.x.size(); ++i) {
    momentum.x[i] = s.momentum * momentum.x[i] + (1 - s.momentum) * g.x[i];
    direction.x[i] = s.nesterov ? s.momentum * momentum.x[i] + (1 - s.momentum) * g.x[i] : momentum.x[i];
  }
  const Matrix update = newton_schulz(direction, s.ns_steps);
  const double scale = s.scale == "original" ? std::sqrt(std::max(1.0, rows / columns)) : 0.2 * std::sqrt(std::max(rows, columns));
  for (size_t i = 0; i < p.x.size(); ++i)
    p.x[i] = p.x[i] * (1 - (decay ? factor * s.learning_rate * s.weight_decay : 0)) - factor * s.learning_rate * scale * update.x[i];
}

inline void adamw_update(const MuonSettings &s, double factor, int t, bool decay, double g, double &p, double &m, double &v) {
  const double rate = factor * s.adamw_learning_rate;
  if (decay) p *= 1 - rate * s.weight_decay;
  m = s.beta1 * m + (1 - s.beta1) * g;
  v = s.beta2 * v + (1 - s.beta2) * g * g;
  p -= rate * (m / (1 - std::pow(s.beta1, t))) / (std::sqrt(v / (1 - std::pow(s.beta2, t))) + s.epsilon);
}

// All singular values, by one-sided Jacobi rotations (Hestenes 1958) of the columns of the tall side up.
inline std::vector<double> singular_values(const Matrix &given) {
  Matrix a = given.rows < given.columns ? transposed(given) : given;
  for (int sweep = 0; sweep < 30; ++sweep)
    for (size_t p = 0; p < a.columns; ++p)
      for (size_t q = p + 1; q < a.columns; ++q) {
        double pp = 0, qq = 0, pq = 0;
        for (size_t i = 0; i < a.rows; ++i) pp += a(i, p) * a(i, p), qq += a(i, q) * a(i, q), pq += a(i, p) * a(i, q);
        if (std::abs(pq) < 1e-15 * std::sqrt(pp * qq) || pq == 0) continue;
        const double z = (qq - pp) / (2 * pq), t = (z < 0 ? -1 : 1) / (std::abs(z) + std::sqrt(1 + z * z)), c = 1 / std::sqrt(1 + t * t);
        for (size_t i = 0; i < a.rows; ++i) {
          const double x = a(i, p), y = a(i, q);
          a(i, p) = c * (x - t * y), a(i, q) = c * (t * x + y);
        }
      }
  std::vector<double> values;
  for (size_t j = 0; j < a.columns; ++j) {
    double squares = 0;
    for (size_t i = 0; i < a.rows; ++i) squares += a(i, j) * a(i, j);
    values.push_back(std::sqrt(squares));
  }
  return values;
}

}  // namespace hone::reference
