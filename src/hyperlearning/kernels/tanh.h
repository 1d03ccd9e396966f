// tanh of vectors, to the last bits of `real`. What is not a number stays so.

#pragma once

#include <cstdint>

#include "simd.h"

namespace {

// Comparisons with NaN are false, so that it is kept.
INLINE vec clamped(vec x, real limit) {
  x = splat(limit) < x ? splat(limit) : x;
  return splat(-limit) > x ? splat(-limit) : x;
}

// Constants of tanh(x) = E / (E + 2) with E = exp(2 x) - 1. `power[i]` multiplies r^(i + 1) in
// exp(2 r) - 1 on |r| <= ln(2) / 4: least maximal relative error for float, Taylor for double.
template <typename T> struct Tanh;
template <> struct Tanh<float> {
  using Bits = std::int32_t;
  static constexpr float limit = 10, round = 12582912;  // 1.5 * 2^23
  static constexpr Bits mantissa = 23, one = 0x3f800000;
  static constexpr float power[] = {2.0f, 1.999999926f, 1.333323490f, 6.666751977e-1f, 2.677286585e-1f, 8.884813772e-2f};
};
template <> struct Tanh<double> {
  using Bits = std::int64_t;
  static constexpr double limit = 20, round = 6755399441055744;  // 1.5 * 2^52
  static constexpr Bits mantissa = 52, one = 0x3ff0000000000000;
  static constexpr double power[] = {
      2.0, 2.0, 8.0 / 6, 16.0 / 24, 32.0 / 120, 64.0 / 720, 128.0 / 5040, 256.0 / 40320, 512.0 / 362880,
      1024.0 / 3628800, 2048.0 / 39916800, 4096.0 / 479001600, 8192.0 / 6227020800};
};

// exp(2 x) is split into 2^n exp(2 r). Adding `round` leaves n in the low bits of the sum.
INLINE vec tanh_lanes(vec x) {
  using T = Tanh<real>;
  typedef T::Bits bits __attribute__((vector_size(32)));
  constexpr real per_step = static_cast<real>(2.885390081777926815);  // 2 / ln 2
  constexpr real step = static_cast<real>(0.34657359027997265471);    // ln 2 / 2
  constexpr int terms = sizeof(T::power) / sizeof(real);
  x = clamped(x, T::limit);
  const vec shifted = x * splat(per_step) + splat(T::round);
  const vec r = x - (shifted - splat(T::round)) * splat(step);
  vec p = splat(T::power[terms - 1]);
  UNROLL for (int i = terms - 2; i >= 0; --i) p = p * r + splat(T::power[i]);
  p *= r;
  const vec scale = (vec)(((bits)shifted << T::mantissa) + T::one);
  const vec e = scale * p + (scale - splat(1));
  return e / (e + splat(2));
}

// `size` is rounded up to whole vectors.
INLINE void tanh_all(real* values, int size) {
  for (int i = 0; i < size; i += kLanes) store(values + i, tanh_lanes(load(values + i)));
}

// Multiplies gradients with the derivative of tanh, given its values.
INLINE void through_tanh(real* gradient, const real* value, int size) {
  for (int i = 0; i < size; i += kLanes) {
    const vec y = load(value + i);
    store(gradient + i, load(gradient + i) * (splat(1) - y * y));
  }
}

}  // namespace
