// One update of Adam for any number of tensors, in a single pass over them.
//
// Every operation is rounded on its own, in the order in which PyTorch does it: the compiler must not
// contract a product and a sum (`-ffp-contract=off`). Moments are then the same to the bit, and
// values up to the square root, which PyTorch rounds less exactly.

#include <cmath>

#include "simd.h"
#include "workers.h"

namespace {

constexpr long kPiece = 1 << 14;          // numbers that a thread takes at a time
constexpr long kWorthAThread = 1 << 16;   // numbers that waking a thread costs about as much as

struct Rule {
  real beta1, keep1, beta2, keep2, correction, tiny, eps, rate;
};

struct Tensors {
  const real *value, *gradient, *first, *second;
  real *new_value, *new_first, *new_second;
};

void update(const Tensors& t, long begin, long end, const Rule& r) {
#pragma GCC ivdep
  for (long i = begin; i < end; ++i) {
    const real g = t.gradient[i];
    const real first = t.first[i] * r.beta1 + g * r.keep1;
    const real second = t.second[i] * r.beta2 + g * g * r.keep2;
    const real root = std::sqrt(second / r.correction + r.tiny) + r.eps;
    t.new_value[i] = t.value[i] - first / root * r.rate;
    t.new_first[i] = first;
    t.new_second[i] = second;
  }
}

}  // namespace

extern "C" void adam_update(int count, const long* sizes, const Tensors* tensors, const double* rule,
                            const real* correction, const real* rate, int threads) {
  const Rule r = {real(rule[0]), real(rule[1]), real(rule[2]), real(rule[3]),
                  *correction,   real(rule[4]), real(rule[5]), *rate};
  for (int k = 0; k < count; ++k) {
    const long size = sizes[k];
    const int pieces = static_cast<int>((size + kPiece - 1) / kPiece);
    Pool::run(useful_threads(threads, pieces, size, kWorthAThread), pieces, [&](int piece) {
      update(tensors[k], piece * kPiece, std::min(size, (piece + 1L) * kPiece), r);
    });
  }
}
