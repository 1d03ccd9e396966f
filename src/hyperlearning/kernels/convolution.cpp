// Forward and backward pass of one small convolutional phenotype over many drives.
//
// An "item" is one neuron's drive for one sample: `channels` numbers, seen as an image of one map. It
// passes convolutions without padding, then dense layers, to one number. Leaky ReLU follows every
// layer but the last, which it follows only if asked to. Sizes are compile-time constants: see
// "Sizes".
//
// Items are taken in blocks of 2 vectors; all values of a block are feature-major,
// value[feature][item in block], so that every multiplication is one number of a weight times a
// vector of items, and a block's values stay in the innermost cache from the first layer to the
// last. "Stage" k is the value after k layers, activation included: stage 0 is the drive. The last
// block is padded with zeros, and so are their output gradients.
//
// Stages are kept on a "tape" between forward and backward, or recomputed block by block if no tape is
// given. A leaky ReLU's slope is told from the sign of its result.
//
// Gradients of convolution weights are summed per lane, and lanes are added up at the end of a
// "chunk" of blocks; those of dense weights have vectors along units, for which a block's gradient
// is transposed. Sums never depend on the number of threads: a thread takes one chunk at a time,
// and chunks have gradients of their own, added in their order.

#include <algorithm>
#include <atomic>
#include <cstring>
#include <type_traits>

#include "workers.h"

#ifdef __AVX__
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))
#define INLINE_LAMBDA __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

namespace {

// ---------------------------------------------------------------------------------------- Sizes

using real = CONV_REAL;
constexpr int kChannels = CONV_CHANNELS;
constexpr int kMaps[] = {1, CONV_MAPS};      // of the drive, then of every convolution
constexpr int kUnits[] = {CONV_UNITS};       // of every dense layer, the output last
constexpr int kKernel = CONV_KERNEL;         // side of all convolutions
constexpr bool kInputActivation = CONV_INPUT_ACTIVATION;
constexpr bool kOutputActivation = CONV_OUTPUT_ACTIVATION;
constexpr real kSlope = static_cast<real>(0.01);

constexpr int kConvs = sizeof(kMaps) / sizeof(int) - 1;
constexpr int kStages = kConvs + sizeof(kUnits) / sizeof(int);
constexpr int kTaps = kKernel * kKernel;
constexpr int kLanes = 32 / sizeof(real);
constexpr int kVectors = 2;
constexpr int kBlock = kVectors * kLanes;  // items in a block
constexpr int kBlocks = 16;                // blocks in a chunk
constexpr int kChunk = kBlocks * kBlock;
constexpr int kRows = 6;                   // rows of a register tile

constexpr int root(int square) {
  int side = 0;
  while (side * side < square) ++side;
  return side;
}
constexpr int padded(int size) { return (size + kLanes - 1) / kLanes * kLanes; }

constexpr bool is_conv(int k) { return k <= kConvs; }
constexpr int side(int k) { return root(kChannels) - k * (kKernel - 1); }
constexpr int area(int k) { return side(k) * side(k); }
constexpr int features(int k) { return is_conv(k) ? kMaps[k] * area(k) : kUnits[k - kConvs - 1]; }

// Stages of a block, one after the other.
constexpr int stage_start(int k) {
  int total = 0;
  for (int i = 0; i < k; ++i) total += features(i) * kBlock;
  return total;
}
constexpr int kValues = stage_start(kStages + 1);

constexpr int most_features() {
  int most = 0;
  for (int k = 0; k <= kStages; ++k) most = features(k) > most ? features(k) : most;
  return most;
}
constexpr int kMostFeatures = most_features();

// Weight and bias of layer k, which leads to stage k.
constexpr int weights(int k) {
  return is_conv(k) ? kMaps[k] * kMaps[k - 1] * kTaps : features(k) * features(k - 1);
}
constexpr int biases(int k) { return is_conv(k) ? kMaps[k] : features(k); }

// Where they start in the flat gradient.
constexpr int flat_start(int k) {
  int total = 0;
  for (int i = 1; i < k; ++i) total += weights(i) + biases(i);
  return total;
}
constexpr int kSize = flat_start(kStages + 1);

// Where they start among a chunk's sums: lanes for convolutions, padded rows for dense layers.
constexpr int weight_sums(int k) {
  return is_conv(k) ? weights(k) * kLanes : features(k - 1) * padded(features(k));
}
constexpr int bias_sums(int k) { return biases(k) * kLanes; }
constexpr int sums_start(int k) {
  int total = 0;
  for (int i = 1; i < k; ++i) total += weight_sums(i) + bias_sums(i);
  return total;
}
constexpr int kSums = sums_start(kStages + 1);

constexpr int most_units() {
  int most = 1;
  for (int k = kConvs + 1; k <= kStages; ++k)
    most = padded(features(k)) > most ? padded(features(k)) : most;
  return most;
}

// Multiplications of one item, forward.
constexpr long multiplications() {
  long total = 0;
  for (int k = 1; k <= kStages; ++k) total += long(weights(k)) * (is_conv(k) ? area(k) : 1);
  return total;
}

// -------------------------------------------------------------------------------------- Vectors

typedef real vec __attribute__((vector_size(32)));
typedef real loose_vec __attribute__((vector_size(32), aligned(sizeof(real)), may_alias));

INLINE vec load(const real* p) { return *reinterpret_cast<const loose_vec*>(p); }
INLINE void store(real* p, vec v) { *reinterpret_cast<loose_vec*>(p) = v; }
INLINE void add(real* p, vec v) { store(p, load(p) + v); }
INLINE vec splat(real s) { return s - vec{}; }

// A NaN compares false and stays a NaN.
INLINE vec leaky(vec x) { return x > 0 ? x : x * splat(kSlope); }
INLINE vec through_leaky(vec gradient, vec y) {
  return y > 0 ? gradient : gradient * splat(kSlope);
}

INLINE real sum_lanes(vec v) {
  real half[kLanes];
  store(half, v);
  for (int n = kLanes / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) half[i] += half[i + n];
  return half[0];
}

// Transposes kLanes x kLanes numbers.
#ifdef __AVX__
INLINE void transpose(const float* from, int ld_from, float* to, int ld_to) {
  __m256 r[8], t[8];
  UNROLL for (int i = 0; i < 8; ++i) r[i] = _mm256_loadu_ps(from + i * ld_from);
  UNROLL for (int i = 0; i < 8; i += 2) {
    t[i] = _mm256_unpacklo_ps(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_ps(r[i], r[i + 1]);
  }
  UNROLL for (int i = 0; i < 8; i += 4) {
    r[i] = _mm256_shuffle_ps(t[i], t[i + 2], 0x44);
    r[i + 1] = _mm256_shuffle_ps(t[i], t[i + 2], 0xee);
    r[i + 2] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0x44);
    r[i + 3] = _mm256_shuffle_ps(t[i + 1], t[i + 3], 0xee);
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * ld_to, _mm256_permute2f128_ps(r[i], r[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * ld_to, _mm256_permute2f128_ps(r[i], r[i + 4], 0x31));
  }
}
INLINE void transpose(const double* from, int ld_from, double* to, int ld_to) {
  __m256d r[4], t[4];
  UNROLL for (int i = 0; i < 4; ++i) r[i] = _mm256_loadu_pd(from + i * ld_from);
  UNROLL for (int i = 0; i < 4; i += 2) {
    t[i] = _mm256_unpacklo_pd(r[i], r[i + 1]);
    t[i + 1] = _mm256_unpackhi_pd(r[i], r[i + 1]);
  }
  UNROLL for (int i = 0; i < 2; ++i) {
    _mm256_storeu_pd(to + i * ld_to, _mm256_permute2f128_pd(t[i], t[i + 2], 0x20));
    _mm256_storeu_pd(to + (i + 2) * ld_to, _mm256_permute2f128_pd(t[i], t[i + 2], 0x31));
  }
}
#else
INLINE void transpose(const real* from, int ld_from, real* to, int ld_to) {
  for (int i = 0; i < kLanes; ++i)
    for (int j = 0; j < kLanes; ++j) to[j * ld_to + i] = from[i * ld_from + j];
}
#endif

// to[column][row] = from[row][column], in whole tiles as far as they fit.
INLINE void transpose_all(const real* from, int rows, int columns, int ld_from, real* to, int ld_to) {
  const int whole_rows = rows / kLanes * kLanes, whole = columns / kLanes * kLanes;
  for (int i = 0; i < whole_rows; i += kLanes)
    for (int j = 0; j < whole; j += kLanes)
      transpose(from + i * ld_from + j, ld_from, to + j * ld_to + i, ld_to);
  for (int i = 0; i < rows; ++i)
    for (int j = i < whole_rows ? whole : 0; j < columns; ++j)
      to[j * ld_to + i] = from[i * ld_from + j];
}

// --------------------------------------------------------------------------------- Register tiles

template <int N> using Constant = std::integral_constant<int, N>;

// Calls f(first row, number of rows as a constant) for tiles of at most R rows.
template <int N, int R, typename F>
INLINE void for_tiles(F&& f) {
  int row = 0;
  for (; row + R <= N; row += R) f(row, Constant<R>{});
  if constexpr (N % R > 0) f(row, Constant<N % R>{});
}

// Sums of R rows. A multiplication waits for the one before it: where few rows are summed, each
// has several partial sums, taken in turn by `part`.
template <int R>
struct Tile {
  static constexpr int kParts = R * kVectors >= 8 ? 1 : (R * kVectors >= 4 ? 2 : 4);
  vec sums[kParts][R][kVectors];

  INLINE Tile() {
    UNROLL for (int p = 0; p < kParts; ++p) UNROLL for (int r = 0; r < R; ++r)
      UNROLL for (int v = 0; v < kVectors; ++v) sums[p][r][v] = vec{};
  }

  // Adds w[r * stride] * x of every row.
  INLINE void step(int part, const real* w, int stride, const real* x) {
    vec xs[kVectors];
    UNROLL for (int v = 0; v < kVectors; ++v) xs[v] = load(x + v * kLanes);
    UNROLL for (int r = 0; r < R; ++r) {
      const vec weight = splat(w[r * stride]);
      UNROLL for (int v = 0; v < kVectors; ++v) sums[part % kParts][r][v] += weight * xs[v];
    }
  }

  INLINE vec total(int r, int v) const {
    vec sum = sums[0][r][v];
    UNROLL for (int p = 1; p < kParts; ++p) sum += sums[p][r][v];
    return sum;
  }
};

// ------------------------------------------------------------------------------------------ Item

struct Problem {
  long items;
  const real* const* parameters;  // weight and bias of every layer
  const real* drive;
  real* y;
  real* tape;
  const real* y_gradient;
  real* drive_gradient;     // or null
  real* partial_gradients;  // one flat gradient per chunk, or null
};

struct Scratch {
  alignas(64) real values[kValues];
  alignas(64) real gradients[2][kMostFeatures * kBlock];
  alignas(64) real transposed[most_units() * kBlock];
  alignas(64) real sums[kSums];
};

struct Chunk {
  const Problem& p;
  Scratch& s;
  const int chunk;

  template <int K> INLINE const real* weight() const { return p.parameters[2 * (K - 1)]; }
  template <int K> INLINE const real* bias() const { return p.parameters[2 * (K - 1) + 1]; }

  static constexpr bool activated(int k) {
    return k == 0 ? kInputActivation : (k < kStages || kOutputActivation);
  }

  // ------------------------------------------------------------------------------------- Forward

  INLINE void read_drive(long first, int count, real* to) const {
    if (count < kBlock) std::fill_n(to, kChannels * kBlock, real(0));
    transpose_all(p.drive + first * kChannels, count, kChannels, kChannels, to, kBlock);
    if (kInputActivation)
      for (int i = 0; i < kChannels * kBlock; i += kLanes) store(to + i, leaky(load(to + i)));
  }

  template <int K, int R>
  INLINE void finish(const Tile<R>& tile, int row, real* to, int stride) const {
    UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < kVectors; ++v) {
      const vec x = tile.total(r, v) + splat(bias<K>()[row + r]);
      store(to + r * stride + v * kLanes, activated(K) ? leaky(x) : x);
    }
  }

  template <int K>
  INLINE void forward_conv(const real* from, real* to) const {
    constexpr int depth = kMaps[K - 1] * kTaps;
    for_tiles<kMaps[K], kRows>([&](int row, auto rows) INLINE_LAMBDA {
      constexpr int R = decltype(rows)::value;
      for (int y = 0; y < side(K); ++y)
        for (int x = 0; x < side(K); ++x) {
          Tile<R> tile;
          for (int in = 0; in < kMaps[K - 1]; ++in) {
            const real* source = from + (in * area(K - 1) + y * side(K - 1) + x) * kBlock;
            const real* w = weight<K>() + row * depth + in * kTaps;
            UNROLL for (int t = 0; t < kTaps; ++t)
              tile.step(t, w + t, depth, source + (t / kKernel * side(K - 1) + t % kKernel) * kBlock);
          }
          finish<K>(tile, row, to + (row * area(K) + y * side(K) + x) * kBlock, area(K) * kBlock);
        }
    });
  }

  template <int K>
  INLINE void forward_dense(const real* from, real* to) const {
    constexpr int depth = features(K - 1), columns = features(K), whole = depth / 4 * 4;
    for_tiles<columns, kRows>([&](int row, auto rows) INLINE_LAMBDA {
      Tile<decltype(rows)::value> tile;
      const real* w = weight<K>() + row;
      for (int i = 0; i < whole; i += 4)
        UNROLL for (int part = 0; part < 4; ++part)
          tile.step(part, w + (i + part) * columns, 1, from + (i + part) * kBlock);
      for (int i = whole; i < depth; ++i) tile.step(0, w + i * columns, 1, from + i * kBlock);
      finish<K>(tile, row, to + row * kBlock, kBlock);
    });
  }

  template <int K>
  INLINE void forward_from(real* values) const {
    if constexpr (K <= kStages) {
      const real* from = values + stage_start(K - 1);
      real* to = values + stage_start(K);
      if constexpr (is_conv(K)) forward_conv<K>(from, to); else forward_dense<K>(from, to);
      forward_from<K + 1>(values);
    }
  }

  INLINE void forward(long first, int count, real* values) const {
    read_drive(first, count, values);
    forward_from<1>(values);
  }

  // ------------------------------------------------------------------------------------ Backward

  // Turns a gradient of stage K into one of what its activation was applied to.
  template <int K, int R>
  INLINE void finish_gradient(const Tile<R>& tile, const real* stage, real* to, int stride) const {
    UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < kVectors; ++v) {
      const vec g = tile.total(r, v);
      const int at = r * stride + v * kLanes;
      store(to + at, activated(K) ? through_leaky(g, load(stage + at)) : g);
    }
  }

  template <int K>
  INLINE void dense_to_source(const real* gradient, const real* stage, real* to) const {
    constexpr int columns = features(K), whole = columns / 4 * 4;
    for_tiles<features(K - 1), kRows>([&](int row, auto rows) INLINE_LAMBDA {
      Tile<decltype(rows)::value> tile;
      const real* w = weight<K>() + row * columns;
      for (int j = 0; j < whole; j += 4)
        UNROLL for (int part = 0; part < 4; ++part)
          tile.step(part, w + j + part, columns, gradient + (j + part) * kBlock);
      for (int j = whole; j < columns; ++j) tile.step(0, w + j, columns, gradient + j * kBlock);
      finish_gradient<K - 1>(tile, stage + row * kBlock, to + row * kBlock, kBlock);
    });
  }

  // A source pixel receives from every pixel whose window it lies in.
  template <int K>
  INLINE void conv_to_source(const real* gradient, const real* stage, real* to) const {
    constexpr int depth = kMaps[K - 1] * kTaps, last = kKernel - 1;
    for_tiles<kMaps[K - 1], kRows>([&](int row, auto rows) INLINE_LAMBDA {
      for (int y = 0; y < side(K - 1); ++y)
        for (int x = 0; x < side(K - 1); ++x) {
          Tile<decltype(rows)::value> tile;
          const int top = std::max(0, y - side(K) + 1), bottom = std::min(y, last);
          const int left = std::max(0, x - side(K) + 1), right = std::min(x, last);
          for (int i = top; i <= bottom; ++i)
            for (int j = left; j <= right; ++j) {
              const real* source = gradient + ((y - i) * side(K) + x - j) * kBlock;
              const real* w = weight<K>() + row * kTaps + i * kKernel + j;
              UNROLL for (int out = 0; out < kMaps[K]; ++out)
                tile.step(out, w + out * depth, kTaps, source + out * area(K) * kBlock);
            }
          const int at = (row * area(K - 1) + y * side(K - 1) + x) * kBlock;
          finish_gradient<K - 1>(tile, stage + at, to + at, area(K - 1) * kBlock);
        }
    });
  }

  template <int K>
  INLINE void conv_gradients(const real* from, const real* gradient) const {
    constexpr int T = kTaps <= 4 ? kTaps : kKernel;  // taps of a tile: all, or a row
    constexpr int most = T >= 12 ? 1 : 12 / T;
    real* sums = s.sums + sums_start(K);
    for_tiles<kMaps[K], most>([&](int row, auto rows) INLINE_LAMBDA {
      constexpr int R = decltype(rows)::value;
      for (int in = 0; in < kMaps[K - 1]; ++in)
        for (int first = 0; first < kTaps; first += T) {
          const real* source = from + (in * area(K - 1) + first / kKernel * side(K - 1)) * kBlock;
          real* to = sums + ((row * kMaps[K - 1] + in) * kTaps + first) * kLanes;
          conv_gradient_tile<K, R, T>(source, gradient + row * area(K) * kBlock, to);
        }
    });
    real* to = sums + weight_sums(K);
    for (int out = 0; out < kMaps[K]; ++out)
      add(to + out * kLanes, sum_vectors(gradient + out * area(K) * kBlock, area(K) * kVectors));
  }

  template <int K, int R, int T>
  INLINE void conv_gradient_tile(const real* from, const real* gradient, real* to) const {
    constexpr int stride = kMaps[K - 1] * kTaps * kLanes;
    vec sums[R][T];
    UNROLL for (int r = 0; r < R; ++r) UNROLL for (int t = 0; t < T; ++t)
      sums[r][t] = load(to + r * stride + t * kLanes);
    for (int y = 0; y < side(K); ++y)
      for (int i = 0; i < side(K) * kBlock; i += kLanes) {
        const real* source = from + y * side(K - 1) * kBlock + i;
        vec xs[T];
        UNROLL for (int t = 0; t < T; ++t)
          xs[t] = load(source + (t / kKernel * side(K - 1) + t % kKernel) * kBlock);
        UNROLL for (int r = 0; r < R; ++r) {
          const vec g = load(gradient + (r * area(K) + y * side(K)) * kBlock + i);
          UNROLL for (int t = 0; t < T; ++t) sums[r][t] += g * xs[t];
        }
      }
    UNROLL for (int r = 0; r < R; ++r) UNROLL for (int t = 0; t < T; ++t)
      store(to + r * stride + t * kLanes, sums[r][t]);
  }

  static INLINE vec sum_vectors(const real* from, int count) {
    vec sums[2] = {};
    int i = 0;
    for (; i + 2 <= count; i += 2)
      UNROLL for (int p = 0; p < 2; ++p) sums[p] += load(from + (i + p) * kLanes);
    return sums[0] + sums[1];
  }

  template <int K>
  INLINE void dense_gradients(const real* from, const real* gradient) const {
    constexpr int columns = features(K), width = padded(columns);
    real* sums = s.sums + sums_start(K);
    real* rows_of_items = s.transposed;
    if (width != columns) std::fill_n(rows_of_items, kBlock * width, real(0));
    transpose_all(gradient, columns, kBlock, kBlock, rows_of_items, width);
    constexpr int wide = width / (2 * kLanes) * 2 * kLanes;
    for_tiles<features(K - 1), kRows>([&](int row, auto rows) INLINE_LAMBDA {
      constexpr int R = decltype(rows)::value;
      const real* source = from + row * kBlock;
      real* to = sums + row * width;
      for (int j = 0; j < wide; j += 2 * kLanes)
        dense_gradient_tile<R, 2, width>(source, rows_of_items + j, to + j);
      if (wide < width) dense_gradient_tile<R, 1, width>(source, rows_of_items + wide, to + wide);
    });
    real* to = sums + weight_sums(K);
    for (int j = 0; j < columns; ++j)
      add(to + j * kLanes, sum_vectors(gradient + j * kBlock, kVectors));
  }

  template <int R, int V, int width>
  static INLINE void dense_gradient_tile(const real* from, const real* gradient, real* to) {
    vec sums[R][V];
    UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < V; ++v)
      sums[r][v] = load(to + r * width + v * kLanes);
    for (int item = 0; item < kBlock; ++item) {
      vec g[V];
      UNROLL for (int v = 0; v < V; ++v) g[v] = load(gradient + item * width + v * kLanes);
      UNROLL for (int r = 0; r < R; ++r) {
        const vec x = splat(from[r * kBlock + item]);
        UNROLL for (int v = 0; v < V; ++v) sums[r][v] += x * g[v];
      }
    }
    UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < V; ++v)
      store(to + r * width + v * kLanes, sums[r][v]);
  }

  template <int K>
  INLINE void backward_from(const real* values, real* gradient, real* other) const {
    const real* from = values + stage_start(K - 1);
    if (p.partial_gradients) {
      if constexpr (is_conv(K)) conv_gradients<K>(from, gradient);
      else dense_gradients<K>(from, gradient);
    }
    if (K == 1 && !p.drive_gradient) return;
    if constexpr (is_conv(K)) conv_to_source<K>(gradient, from, other);
    else dense_to_source<K>(gradient, from, other);
    if constexpr (K > 1) backward_from<K - 1>(values, other, gradient);
  }

  INLINE void backward(long first, int count, const real* values) const {
    real* gradient = s.gradients[kStages % 2];
    for (int i = 0; i < kBlock; ++i) gradient[i] = i < count ? p.y_gradient[first + i] : 0;
    if (kOutputActivation)
      for (int i = 0; i < kBlock; i += kLanes)
        store(gradient + i, through_leaky(load(gradient + i), load(values + stage_start(kStages) + i)));
    backward_from<kStages>(values, gradient, s.gradients[(kStages + 1) % 2]);
    if (p.drive_gradient)
      transpose_all(s.gradients[0], kChannels, count, kBlock, p.drive_gradient + first * kChannels,
                    kChannels);
  }

  template <int K>
  void write_gradients() const {
    if constexpr (K <= kStages) {
      const real* sums = s.sums + sums_start(K);
      real* to = p.partial_gradients + long(chunk) * kSize + flat_start(K);
      if constexpr (is_conv(K)) {
        for (int i = 0; i < weights(K); ++i) to[i] = sum_lanes(load(sums + i * kLanes));
      } else {
        for (int i = 0; i < features(K - 1); ++i)
          std::copy_n(sums + i * padded(features(K)), features(K), to + i * features(K));
      }
      sums += weight_sums(K);
      to += weights(K);
      for (int i = 0; i < biases(K); ++i) to[i] = sum_lanes(load(sums + i * kLanes));
      write_gradients<K + 1>();
    }
  }

  // -------------------------------------------------------------------------------------- Blocks

  template <typename F>
  void for_blocks(F&& f) const {
    const long end = std::min(p.items, (chunk + 1L) * kChunk);
    for (long first = long(chunk) * kChunk; first < end; first += kBlock)
      f(first, static_cast<int>(std::min<long>(kBlock, end - first)),
        p.tape ? p.tape + first / kBlock * kValues : s.values);
  }

  void run_forward() const {
    for_blocks([&](long first, int count, real* values) {
      forward(first, count, values);
      std::copy_n(values + stage_start(kStages), count, p.y + first);
    });
  }

  void run_backward() const {
    if (p.partial_gradients) std::fill_n(s.sums, kSums, real(0));
    for_blocks([&](long first, int count, real* values) {
      if (!p.tape) forward(first, count, values);
      backward(first, count, values);
    });
    if (p.partial_gradients) write_gradients<1>();
  }
};

// -------------------------------------------------------------------------------------- Threads

// Waking a thread costs about as much as this many multiplications.
constexpr long kWorthAThread = 200000;

int num_chunks(long items) { return static_cast<int>((items + kChunk - 1) / kChunk); }

int run(const Problem& p, int threads) {
  const int chunks = num_chunks(p.items);
  const long worth = 1 + p.items * multiplications() / kWorthAThread;
  std::atomic<int> failed{0};
  Pool::run(static_cast<int>(std::min({long(threads), long(chunks), worth})), chunks, [&](int chunk) {
    auto* working = scratch<Scratch>();
    if (!working) return failed.store(1);
    const Chunk task = {p, *working, chunk};
    if (p.y) task.run_forward(); else task.run_backward();
  });
  return failed;
}

}  // namespace

// ------------------------------------------------------------------------------------ Interface

extern "C" {

// Numbers on the tape of one block, and items in a block and in a chunk.
long conv_tape_size(long items) { return (items + kBlock - 1) / kBlock * kValues; }
int conv_num_chunks(long items) { return num_chunks(items); }
int conv_block() { return kBlock; }

// `parameters` holds weight and bias of every layer. Returns 0, or 1 if there is not enough memory.
int conv_forward(long items, int threads, const real* const* parameters, const real* drive, real* y,
                 real* tape) {
  return run({items, parameters, drive, y, tape, nullptr, nullptr, nullptr}, threads);
}

// Gradients that are not wanted are null: of the drive, or of the parameters, of which there is one
// flat gradient per chunk and their sum.
int conv_backward(long items, int threads, const real* const* parameters, const real* drive,
                  real* tape, const real* y_gradient, real* drive_gradient, real* partial_gradients,
                  real* gradient) {
  const Problem p = {items, parameters, drive, nullptr, tape, y_gradient, drive_gradient,
                     partial_gradients};
  const int failed = run(p, threads);
  if (failed || !gradient) return failed;
  std::fill_n(gradient, kSize, real(0));
  for (int chunk = 0; chunk < num_chunks(items); ++chunk)
    for (int i = 0; i < kSize; ++i) gradient[i] += partial_gradients[long(chunk) * kSize + i];
  return 0;
}

}  // extern "C"
