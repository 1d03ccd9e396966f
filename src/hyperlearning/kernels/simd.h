// Vectors of 32 bytes, and what kernels do with them. `REAL` is the type of all numbers.

#pragma once

#include <algorithm>
#include <cstring>
#include <type_traits>
#include <utility>

#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

#ifdef __clang__
#define SHUFFLE(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
#define SHUFFLE(a, b, ...) __builtin_shuffle(a, b, mask{__VA_ARGS__})
#endif

namespace {

using real = REAL;
typedef real vec __attribute__((vector_size(32)));
typedef real loose_vec __attribute__((vector_size(32), aligned(sizeof(real)), may_alias));
typedef decltype(vec{} < vec{}) mask;
constexpr int kLanes = 32 / sizeof(real);

INLINE vec load(const real* p) { return *reinterpret_cast<const loose_vec*>(p); }
INLINE void store(real* p, vec v) { *reinterpret_cast<loose_vec*>(p) = v; }
INLINE void add(real* p, vec v) { store(p, load(p) + v); }
INLINE vec splat(real s) { return s - vec{}; }

// The first `count` numbers of a vector; the others are zeros.
template <typename V = vec>
INLINE V load_some(const void* from, int count) {
  V value{};
  if (count == kLanes) std::memcpy(&value, from, sizeof(V));
  else std::memcpy(&value, from, count * (sizeof(V) / kLanes));
  return value;
}
template <typename V>
INLINE void store_some(void* to, const V& value, int count) {
  if (count == kLanes) std::memcpy(to, &value, sizeof(V));
  else std::memcpy(to, &value, count * (sizeof(V) / kLanes));
}

// By halves: lane i and lane i + n / 2 of n.
INLINE real sum_lanes(vec v) {
  typedef real half_vec __attribute__((vector_size(16)));
  half_vec halves[2];
  std::memcpy(halves, &v, sizeof v);
  half_vec sum = halves[0] + halves[1];
  UNROLL for (int n = kLanes / 4; n > 1; n /= 2) UNROLL for (int i = 0; i < n; ++i) sum[i] += sum[i + n];
  return sum[0] + sum[1];
}

// ---------------------------------------------------------------------------- Constant sizes

constexpr int padded(int size) { return (size + kLanes - 1) / kLanes * kLanes; }  // to whole vectors

// Sum and maximum of f(begin), ..., f(end - 1).
template <typename F>
constexpr auto total(int begin, int end, F f) {
  decltype(f(0)) sum = 0;
  for (int i = begin; i < end; ++i) sum += f(i);
  return sum;
}
template <typename F>
constexpr int most(int begin, int end, F f) {
  int value = 0;
  for (int i = begin; i < end; ++i) value = f(i) > value ? f(i) : value;
  return value;
}

// Calls f with an integral constant for every k in [0, Count).
template <typename F, int... K>
INLINE void each(F&& f, std::integer_sequence<int, K...>) { (f(std::integral_constant<int, K>{}), ...); }
template <int Count, typename F>
INLINE void each(F&& f) { each(f, std::make_integer_sequence<int, Count>{}); }

// Calls f(first row, number of rows as a constant) for tiles of at most R of N rows.
template <int N, int R, typename F>
INLINE void for_tiles(F&& f) {
  int row = 0;
  for (; row + R <= N; row += R) f(row, std::integral_constant<int, R>{});
  if constexpr (N % R > 0) f(row, std::integral_constant<int, N % R>{});
}

// Calls f(first number, V as a constant) for pieces of V whole vectors of `size` numbers, each V as often as it fits.
template <int... V, typename F>
INLINE void for_chunks(int size, F&& f) {
  int j = 0;
  const auto chunks = [&](auto v) INLINE_LAMBDA {
    for (; j + v * kLanes <= size; j += v * kLanes) f(j, v);
  };
  (chunks(std::integral_constant<int, V>{}), ...);
}

// ------------------------------------------------------------------------------- Transposition

// Of two rows that lie D apart: their off-diagonal squares of side D change places.
template <int D, int... J>
INLINE void exchange(vec& a, vec& b, std::integer_sequence<int, J...>) {
  const vec upper = SHUFFLE(a, b, (J & D ? kLanes + J - D : J)...);
  b = SHUFFLE(a, b, (J & D ? kLanes + J : J + D)...);
  a = upper;
}
template <int D = 1>
INLINE void transpose_tile(vec (&rows)[kLanes]) {
  UNROLL for (int i = 0; i < kLanes; ++i)
    if (!(i & D)) exchange<D>(rows[i], rows[i + D], std::make_integer_sequence<int, kLanes>{});
  if constexpr (2 * D < kLanes) transpose_tile<2 * D>(rows);
}

// to[column][row] = from[row][column]. With `Fill`, rows of `to` are filled with zeros up to whole vectors.
template <bool Fill>
INLINE void transpose(const real* from, int rows, int columns, int ld_from, real* to, int ld_to) {
  for (int c = 0; c < columns; c += kLanes)
    for (int r = 0; r < rows; r += kLanes) {
      const int width = std::min(kLanes, columns - c), height = std::min(kLanes, rows - r);
      vec tile[kLanes];
      UNROLL for (int i = 0; i < kLanes; ++i)
        tile[i] = i < height ? load_some(from + (r + i) * ld_from + c, width) : vec{};
      transpose_tile(tile);
      UNROLL for (int j = 0; j < kLanes; ++j)
        if (j < width) store_some(to + (c + j) * ld_to + r, tile[j], Fill ? kLanes : height);
    }
}

}  // namespace
