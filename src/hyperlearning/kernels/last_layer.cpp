// Adam on a linear softmax layer, one example at a time, for many independent runs.
//
// Every number is that of plain Adam up to rounding, with less work. Where a feature is zero its weights have no
// gradient and do not count for the logits: their steps, which still move them by their moments, are put off until the
// feature is next needed. Of k + 1 steps put off, only the first has a gradient. With m, v the moments after it and
// r = sqrt(v), step i of them moves a weight by
//
//   a_i m / (r s_i + eps),   a_i = lr beta1^i / (1 - beta1^t_i),   s_i = sqrt(beta2^i / (1 - beta2^t_i)),
//
// where t_i counts steps from 1. With s the mean of the s_i, weighted by a_i, x = r s + eps, rho = r s / x (0 to 1) and
// d_i = s_i / s - 1 the sum is
//
//   m / x * sum_i a_i / (1 + rho d_i) = m / x * sum_n (-rho)^n A_n,   A_n = sum_i a_i d_i^n,   A_1 = 0,
//
// one root and one division for all of them. The series ends where its remainder is below rounding, mostly after A_0 or
// A_2; where that takes too many terms (in the first few hundred steps, after long pauses) the steps are made one by one.
//
// Weights are feature-major: all outputs of a feature lie side by side, with their moments behind them.

#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <new>
#include <vector>

#ifdef __linux__
#include <sys/mman.h>
#endif
#ifdef __SSE__
#include <immintrin.h>
#endif

#include "simd.h"
#include "workers.h"

namespace {

constexpr int kLine = 64 / sizeof(real);  // numbers in a line of the caches
constexpr int kWindow = 128;   // steps after which nothing stays put off
constexpr int kMostTerms = 8;  // of the series

struct Problem {
  int steps, features, outputs;
  const real* inputs;       // (images, features)
  const int64_t* order;     // (runs, steps)
  const int64_t* labels;    // (runs, steps)
  const double* lrs;        // (runs)
  double beta1, beta2, eps;
  real* weights;            // (runs, features, outputs), replaced by the result
  real* biases;             // (runs, outputs), likewise
};

// Powers and bias corrections, for all runs.
struct Tables {
  explicit Tables(const Problem& p) : rate(p.steps + 1), scale(p.steps + 1), power1(kWindow), power2(kWindow), root2(kWindow) {
    for (int t = 1; t <= p.steps; ++t) {
      rate[t] = 1 / (1 - std::pow(p.beta1, t));
      scale[t] = 1 / std::sqrt(1 - std::pow(p.beta2, t));
    }
    for (int i = 0; i < kWindow; ++i) {
      power1[i] = std::pow(p.beta1, i), power2[i] = std::pow(p.beta2, i), root2[i] = std::sqrt(power2[i]);
    }
  }
  std::vector<double> rate, scale;  // 1 / (1 - beta1^t) and 1 / sqrt(1 - beta2^t)
  std::vector<double> power1, power2, root2;  // beta1^i, beta2^i, sqrt(beta2^i)
};

// What the steps put off do to a weight, by the number k of those without a gradient.
struct Delay {
  int terms = 0;  // 0: not known yet; -1: no short series
  real series[kMostTerms];
  real scale;          // s
  real first, second;  // beta1^k, beta2^k
};

// Values near the smallest normal number are slow on some processors and change no weight: eps is 1e-8.
class FlushTiny {
 public:
#ifdef __SSE__
  FlushTiny() : before_(_mm_getcsr()) { _mm_setcsr(before_ | 0x8040); }
  ~FlushTiny() { _mm_setcsr(before_); }

 private:
  unsigned before_;
#endif
};

using Buffer = std::unique_ptr<real, decltype(&std::free)>;

Buffer allocate(size_t count) {
  constexpr size_t kPage = size_t{1} << 21;
  const size_t bytes = count * sizeof(real), align = bytes >= kPage ? kPage : 64;
  Buffer buffer(static_cast<real*>(std::aligned_alloc(align, (bytes + align - 1) / align * align)), std::free);
  if (!buffer) throw std::bad_alloc();
#ifdef __linux__
  if (align == kPage) madvise(buffer.get(), bytes, MADV_HUGEPAGE);
#endif
  std::fill_n(buffer.get(), count, real(0));
  return buffer;
}

// The moments after a step with gradient g.
struct Rule {
  explicit Rule(const Problem& p)
      : b1(real(p.beta1)), b2(real(p.beta2)), c1(real(1 - p.beta1)), c2(real(1 - p.beta2)), eps(real(p.eps)) {}
  INLINE real first(real m, real g) const { return b1 * m + c1 * g; }
  INLINE real second(real v, real g) const { return b2 * v + c2 * g * g; }
  const real b1, b2, c1, c2, eps;
};

class Run {
 public:
  Run(const Problem& problem, const Tables& tables)
      : p_(problem),
        tables_(tables),
        columns_(problem.features + 1),
        width_((problem.outputs + kLine - 1) / kLine * kLine),
        state_(allocate(size_t{3} * columns_ * width_)),
        errors_(allocate(size_t{kWindow} * width_)),
        logits_(allocate(width_)),
        done_(columns_),
        feature_(columns_),
        touched_(columns_),
        delays_(kWindow) {
    active_.reserve(columns_);
  }

  void learn(int run) {
    lr_ = p_.lrs[run];
    std::memset(state_.get(), 0, sizeof(real) * 3 * columns_ * width_);
    for (int i = 0; i < columns_; ++i) std::copy_n(result(run, i), p_.outputs, column(i));
    std::fill(done_.begin(), done_.end(), 0);
    std::fill(touched_.begin(), touched_.end(), 0);
    const int64_t* order = p_.order + int64_t{run} * p_.steps;
    const int64_t* labels = p_.labels + int64_t{run} * p_.steps;
    for (int step = 1; step <= p_.steps; ++step) {
      look_ahead(step, p_.inputs + order[step - 1] * p_.features);
      if (step % kWindow == 0) catch_up_all(step - 1);
      std::fill_n(logits_.get(), width_, real{0});
      for (size_t i = 0; i < active_.size(); ++i) {
        next_ = column(active_[std::min(i + 1, active_.size() - 1)]);
        meet(active_[i], step);
      }
      to_errors(labels[step - 1], errors_.get() + size_t(step % kWindow) * width_);
    }
    prepare(p_.steps);
    catch_up_all(p_.steps);
    for (int i = 0; i < columns_; ++i) std::copy_n(column(i), p_.outputs, result(run, i));
  }

 private:
  real* column(int index) { return state_.get() + size_t{3} * index * width_; }

  real* result(int run, int index) {
    if (index == p_.features) return p_.biases + int64_t{run} * p_.outputs;
    return p_.weights + (int64_t{run} * p_.features + index) * p_.outputs;
  }

  // Finds the features that are not zero; the bias is one that never is.
  void look_ahead(int step, const real* input) {
    prepare(step - 1);
    input_ = input;
    active_.clear();
    for (int i = 0; i < p_.features; ++i)
      if (input[i] != 0) active_.push_back(i);
    active_.push_back(p_.features);
  }

  void prepare(int until) {
    until_ = until;
    for (Delay& delay : delays_) delay.terms = 0;
  }

  // Brings a feature's weights up to date, adds them to the logits, and leaves this step's update for later.
  void meet(int index, int step) {
    const real feature = index == p_.features ? real{1} : input_[index];
    catch_up<true>(index, feature);
    touched_[index] = 1;
    done_[index] = step - 1;
    feature_[index] = feature;
  }

  void catch_up_all(int until) {
    for (int i = 0; i < columns_; ++i) {
      catch_up<false>(i, 0);
      done_[i] = until;
      feature_[i] = 0;
    }
  }

  template <bool kLogits>
  void catch_up(int index, real feature) {
    if (touched_[index] && done_[index] < until_) {
      const int first = done_[index] + 1, pauses = until_ - first;
      const real* error = errors_.get() + size_t(first % kWindow) * width_;
      Delay& delay = delays_[pauses];
      if (delay.terms == 0) expand(pauses, delay);
      switch (delay.terms) {
        case 1: return in_one<kLogits, 1>(column(index), error, feature_[index], delay, feature);
        case 3: return in_one<kLogits, 3>(column(index), error, feature_[index], delay, feature);
        case 4: return in_one<kLogits, 4>(column(index), error, feature_[index], delay, feature);
        case 5: return in_one<kLogits, 5>(column(index), error, feature_[index], delay, feature);
        case -1: one_by_one(column(index), error, feature_[index], first, pauses); break;
        default: return in_one<kLogits, kMostTerms>(column(index), error, feature_[index], delay, feature);
      }
    }
    if (kLogits) add_logits(column(index), feature);
  }

  template <bool kLogits, int kTerms>
  void in_one(real* __restrict weight, const real* __restrict error, real before, const Delay& delay, real feature) {
    real* __restrict first = weight + width_;
    real* __restrict second = first + width_;
    real* __restrict logits = logits_.get();
    const Rule rule(p_);
    const real scale = delay.scale, decay1 = delay.first, decay2 = delay.second;
    real series[kTerms];
    for (int n = 0; n < kTerms; ++n) series[n] = delay.series[n];
    const real* ahead = next_;
    for (int start = 0; start < width_; start += kLine, ahead += kLine) {
      // Loads a line of each part of the next column while this one is worked on.
      if (kLogits)
        for (int part = 0; part < 3; ++part) __builtin_prefetch(ahead + size_t(part) * width_, 1);
#pragma GCC ivdep
      for (int c = start; c < start + kLine; ++c) {
        const real gradient = error[c] * before;
        const real m = rule.first(first[c], gradient), v = rule.second(second[c], gradient);
        const real root = std::sqrt(v) * scale;
        const real inverse = 1 / (root + rule.eps);
        real factor = series[kTerms - 1];
        if (kTerms > 1) {
          const real rho = -root * inverse;
          for (int n = kTerms - 2; n >= 0; --n) factor = factor * rho + series[n];
        }
        const real moved = weight[c] - m * inverse * factor;
        weight[c] = moved;
        first[c] = m * decay1;
        second[c] = v * decay2;
        if (kLogits) logits[c] += moved * feature;
      }
    }
  }

  void one_by_one(real* __restrict weight, const real* error, real before, int start, int pauses) {
    real* __restrict first = weight + width_;
    real* __restrict second = first + width_;
    const Rule rule(p_);
    for (int i = 0; i <= pauses; ++i) {
      const real rate = real(lr_ * tables_.rate[start + i]), scale = real(tables_.scale[start + i]);
      const real feature = i == 0 ? before : real{0};
#pragma GCC ivdep
      for (int c = 0; c < width_; ++c) {
        const real gradient = error[c] * feature;
        const real m = rule.first(first[c], gradient), v = rule.second(second[c], gradient);
        weight[c] -= rate * m / (std::sqrt(v) * scale + rule.eps);
        first[c] = m;
        second[c] = v;
      }
    }
  }

  void add_logits(const real* __restrict weight, real feature) {
    real* __restrict logits = logits_.get();
    for (int c = 0; c < width_; ++c) logits[c] += weight[c] * feature;
  }

  void expand(int pauses, Delay& delay) {
    const int start = until_ - pauses;
    double rates[kWindow], scales[kWindow], total = 0, mean = 0;  // a_i, s_i
    for (int i = 0; i <= pauses; ++i) {
      rates[i] = lr_ * tables_.power1[i] * tables_.rate[start + i];
      scales[i] = tables_.root2[i] * tables_.scale[start + i];
      total += rates[i], mean += rates[i] * scales[i];
    }
    mean /= total;
    double sums[kMostTerms] = {}, left[kMostTerms] = {};  // A_n, and a bound on the terms after n
    for (int i = 0; i <= pauses; ++i) {
      const double d = scales[i] / mean - 1, size = std::abs(d);
      double term = rates[i], rest = size < 1 ? rates[i] * size / (1 - size) : HUGE_VAL;
      for (int n = 0; n < kMostTerms; ++n) {
        sums[n] += term, left[n] += rest;
        term *= d, rest *= size;
      }
    }
    for (int n = 0; n < kMostTerms; ++n) delay.series[n] = real(sums[n]);
    delay.series[1] = 0;
    delay.scale = real(mean), delay.first = real(tables_.power1[pauses]), delay.second = real(tables_.power2[pauses]);
    const double accepted = std::numeric_limits<real>::epsilon() * total;
    int terms = 2;
    while (terms <= kMostTerms && left[terms - 1] > accepted) ++terms;
    delay.terms = terms == 2 ? 1 : terms > kMostTerms ? -1 : terms;
  }

  // Softmax less the target, d loss / d logits; zero beyond the outputs.
  void to_errors(int64_t label, real* __restrict error) {
    const real* __restrict logits = logits_.get();
    real top = logits[0];
    for (int c = 1; c < p_.outputs; ++c) top = std::max(top, logits[c]);
    real total = 0;
    for (int c = 0; c < p_.outputs; ++c) total += error[c] = std::exp(logits[c] - top);
    for (int c = 0; c < p_.outputs; ++c) error[c] /= total;
    error[label] -= 1;
    std::fill(error + p_.outputs, error + width_, real{0});
  }

  const Problem& p_;
  const Tables& tables_;
  const int columns_, width_;
  Buffer state_, errors_, logits_;
  std::vector<int> done_;       // steps made, by feature
  std::vector<real> feature_;   // its value at the step after those
  std::vector<char> touched_;   // whether it was ever not zero
  std::vector<Delay> delays_;
  std::vector<int> active_;
  const real* input_ = nullptr;
  const real* next_ = nullptr;
  int until_ = 0;
  double lr_ = 0;
};

}  // namespace

// Returns 1 if memory is short.
extern "C" int last_layer_adam(int runs, int steps, int features, int outputs, int threads, const void* inputs,
                               const int64_t* order, const int64_t* labels, const double* lrs, double beta1,
                               double beta2, double eps, void* weights, void* biases) {
  const Problem problem{steps,  features, outputs, static_cast<const real*>(inputs), order, labels, lrs, beta1, beta2,
                        eps,    static_cast<real*>(weights), static_cast<real*>(biases)};
  const Tables tables(problem);
  std::atomic<int> next{0}, failed{0};
  // One working memory a thread, so that no more are made than threads.
  const int workers = std::min(threads, runs);
  Pool::run(workers, workers, [&](int) {
    const FlushTiny flush;
    try {
      Run run(problem, tables);
      for (int index = next++; index < runs; index = next++) run.learn(index);
    } catch (const std::bad_alloc&) {
      failed = 1;
    }
  });
  return failed;
}
