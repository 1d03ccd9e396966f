// Products of small matrices. Every number of a result is summed in the order of `k`, whatever the tiles.
//
// Where there are many samples (or items) they are taken in blocks of `kBlock`, and values are feature-major,
// value[feature][sample in block].

#pragma once

#include "simd.h"

namespace {

constexpr int kVectors = 2;
constexpr int kBlock = kVectors * kLanes;

// What a sum starts from; with kAdd it starts from zero and is added at the end.
enum class Start { kZero, kResume, kAdd, kRowBias, kColumnBias };

struct Operand {  // a(r, k) = data[r * row + k * depth]
  const real* data;
  int row, depth;
};

// One register tile of `multiply`.
template <Start S, int R, int V>
INLINE void tile(int depth, Operand a, const real* x, int ldx, real* y, int ldy, const real* bias = nullptr) {
  vec sum[R][V];
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < V; ++v) {
    if (S == Start::kZero || S == Start::kAdd) sum[r][v] = vec{};
    if (S == Start::kResume) sum[r][v] = load(y + r * ldy + v * kLanes);
    if (S == Start::kRowBias) sum[r][v] = splat(bias[r]);
    if (S == Start::kColumnBias) sum[r][v] = load(bias + v * kLanes);
  }
  for (int k = 0; k < depth; ++k) {
    vec xs[V];
    UNROLL for (int v = 0; v < V; ++v) xs[v] = load(x + k * ldx + v * kLanes);
    UNROLL for (int r = 0; r < R; ++r) {
      const vec weight = splat(a.data[r * a.row + k * a.depth]);
      UNROLL for (int v = 0; v < V; ++v) sum[r][v] += weight * xs[v];
    }
  }
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < V; ++v) {
    real* to = y + r * ldy + v * kLanes;
    store(to, S == Start::kAdd ? load(to) + sum[r][v] : sum[r][v]);
  }
}

template <Start S, int R>
INLINE void tile_row(int depth, Operand a, const real* x, int ldx, real* y, int ldy, int columns, const real* bias) {
  const int by_column = S == Start::kColumnBias;
  int v = 0;
  for (; v + 2 * kLanes <= columns; v += 2 * kLanes)
    tile<S, R, 2>(depth, a, x + v, ldx, y + v, ldy, bias + by_column * v);
  if (v < columns) tile<S, R, 1>(depth, a, x + v, ldx, y + v, ldy, bias + by_column * v);
}

// y(r, v) = start + sum_k a(r, k) x(k, v). `columns` is a whole number of vectors.
template <Start S>
INLINE void multiply(int rows, int depth, Operand a, const real* x, int ldx, real* y, int ldy, int columns,
                     const real* bias = nullptr) {
  const int tiles = (rows + 5) / 6, most = (rows + tiles - 1) / tiles;
  for (int r = 0; r < rows; r += most) {
    const int height = std::min(most, rows - r);
    const Operand at = {a.data + r * a.row, a.row, a.depth};
    const real* start = S == Start::kRowBias ? bias + r : bias;
    real* to = y + r * ldy;
    switch (height) {
      case 6: tile_row<S, 6>(depth, at, x, ldx, to, ldy, columns, start); break;
      case 5: tile_row<S, 5>(depth, at, x, ldx, to, ldy, columns, start); break;
      case 4: tile_row<S, 4>(depth, at, x, ldx, to, ldy, columns, start); break;
      case 3: tile_row<S, 3>(depth, at, x, ldx, to, ldy, columns, start); break;
      case 2: tile_row<S, 2>(depth, at, x, ldx, to, ldy, columns, start); break;
      default: tile_row<S, 1>(depth, at, x, ldx, to, ldy, columns, start);
    }
  }
}

// The same, compiled once rather than for the sizes of every caller: for less frequent products.
template <Start S>
__attribute__((noinline)) void multiply_any(int rows, int depth, Operand a, const real* x, int ldx, real* y, int ldy,
                                            int columns, const real* bias = nullptr) {
  multiply<S>(rows, depth, a, x, ldx, y, ldy, columns, bias);
}

// One register tile of a sum over samples: lanes[r][c] += a(r) * b(c), lane by lane, over so many lines of `length` numbers.
// `column(c)` is where b(c) starts.
template <int R, int C, typename F>
INLINE void correlate(int lines, int length, const real* a, int a_line, int a_row, const real* b, int b_line, F column,
                      real* lanes, int ld) {
  vec sum[R][C];
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int c = 0; c < C; ++c) sum[r][c] = load(lanes + (r * ld + c) * kLanes);
  for (int n = 0; n < lines; ++n)
    for (int i = 0; i < length; i += kLanes) {
      vec right[C];
      UNROLL for (int c = 0; c < C; ++c) right[c] = load(b + n * b_line + i + column(c));
      UNROLL for (int r = 0; r < R; ++r) {
        const vec left = load(a + n * a_line + i + r * a_row);
        UNROLL for (int c = 0; c < C; ++c) sum[r][c] += left * right[c];
      }
    }
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int c = 0; c < C; ++c) store(lanes + (r * ld + c) * kLanes, sum[r][c]);
}

}  // namespace
