// Forward and backward pass of a population of networks of Deep Artificial Neurons.
//
// Every layer b receives a drive, the sum over its maps (a, b) of out_a @ W_ab + bias_ab. The drive
// of each node has `channels` entries and passes through one small perceptron (the phenotype) that
// all nodes of all layers and all members share. Sizes are compile-time constants: see "Sizes".
//
// Members are independent; a thread takes one member at a time. A member is evaluated in one of
// three ways, chosen from the batch size by counting operations (`make_plan`):
//
//   rows      a few samples. One sample at a time; vectors run along channels or hidden units,
//             which are padded to whole vectors. Synapses are read in place.
//   blocks    many samples. Blocks of 2 vectors of samples; all values are feature-major,
//             value[feature][sample in block], nodes outermost. Synapses are first gathered into
//             one "effective" matrix per layer, F[source row][node][unit], whose last source row
//             is the bias.
//   folded    blocks in which F is synapses @ W1, so that the drive is never formed: nothing
//             nonlinear separates the two. Stage 0 below does not exist in this case.
//
// "Stage" k of a layer is the value after k layers of the phenotype: stage 0 is the drive, stage
// kStages the output. The last block is padded with copies of the last sample whose output gradient
// is zero. Activations are kept on a "tape" between forward and backward, or recomputed block by
// block if no tape is given.
//
// Sums never depend on the number of threads: phenotype gradients are kept per member and added in
// the order of the members.

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "workers.h"

#ifdef __AVX__
#include <immintrin.h>
#endif

#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

namespace {

// ---------------------------------------------------------------------------------------- Sizes

using real = DAN_REAL;
constexpr int kSizes[] = {DAN_SIZES};    // nodes per layer, the input layer first
constexpr int kFrom[] = {DAN_FROM};      // source and target layer of every map
constexpr int kTo[] = {DAN_TO};
constexpr int kWidths[] = {DAN_WIDTHS};  // channels, hidden sizes, 1
constexpr bool kOutputTanh = DAN_OUTPUT_TANH;
constexpr real kOutputScale = static_cast<real>(DAN_OUTPUT_SCALE);

constexpr int kLayers = sizeof(kSizes) / sizeof(int) - 1;
constexpr int kMaps = sizeof(kFrom) / sizeof(int);
constexpr int kStages = sizeof(kWidths) / sizeof(int) - 1;
constexpr int kLanes = 32 / sizeof(real);
constexpr int kBlock = 2 * kLanes;  // samples in a block
constexpr int kChannels = kWidths[0];
constexpr int kHidden = kWidths[1];

constexpr int padded(int size) { return (size + kLanes - 1) / kLanes * kLanes; }

// First node of a layer when the nodes of all layers, inputs included, are counted in one go.
constexpr int first_node(int layer) {
  int total = 0;
  for (int i = 0; i < layer; ++i) total += kSizes[i];
  return total;
}
constexpr int kAllNodes = first_node(kLayers + 1);
constexpr int kInputs = kSizes[0];
constexpr int kNodes = kAllNodes - kInputs;
constexpr int kOutputs = kSizes[kLayers];

constexpr int largest(const int* values, int count) {
  int most = 0;
  for (int i = 0; i < count; ++i) most = values[i] > most ? values[i] : most;
  return most;
}
constexpr int kMostNodes = largest(kSizes, kLayers + 1);
constexpr int kMostWidth = largest(kWidths, kStages + 1);

// Source rows of a layer's effective matrix, without its bias row.
constexpr int sources(int layer) {
  int total = 0;
  for (int i = 0; i < kMaps; ++i) total += kTo[i] == layer ? kSizes[kFrom[i]] : 0;
  return total;
}
constexpr int source_row(int map) {
  int total = 0;
  for (int i = 0; i < map; ++i) total += kTo[i] == kTo[map] ? kSizes[kFrom[i]] : 0;
  return total;
}
constexpr int most_sources() {
  int most = 0;
  for (int b = 1; b <= kLayers; ++b) most = sources(b) > most ? sources(b) : most;
  return most;
}
constexpr long edges() {
  long total = 0;
  for (int i = 0; i < kMaps; ++i) total += long(kSizes[kFrom[i]]) * kSizes[kTo[i]];
  return total;
}

// Where weight and bias of phenotype layer k (from stage k - 1 to k) start in the flat gradient.
constexpr int weight_start(int k) {
  int total = 0;
  for (int i = 1; i < k; ++i) total += (kWidths[i - 1] + 1) * kWidths[i];
  return total;
}
constexpr int bias_start(int k) { return weight_start(k) + kWidths[k - 1] * kWidths[k]; }
constexpr int kPhenotypeSize = weight_start(kStages + 1);

// The same for copies whose rows are padded to whole vectors.
constexpr int padded_start(int k) {
  int total = 0;
  for (int i = 1; i < k; ++i) total += (kWidths[i - 1] + 1) * padded(kWidths[i]);
  return total;
}
constexpr int padded_bias(int k) { return padded_start(k) + kWidths[k - 1] * padded(kWidths[k]); }
constexpr int transposed_start(int k) {
  int total = 0;
  for (int i = 1; i < k; ++i) total += kWidths[i] * padded(kWidths[i - 1]);
  return total;
}
constexpr int kPaddedSize = padded_start(kStages + 1);
constexpr int kTransposedSize = transposed_start(kStages + 1);

// -------------------------------------------------------------------------------------- Vectors

typedef real vec __attribute__((vector_size(32)));
typedef real loose_vec __attribute__((vector_size(32), aligned(sizeof(real)), may_alias));

INLINE vec load(const real* p) { return *reinterpret_cast<const loose_vec*>(p); }
INLINE void store(real* p, vec v) { *reinterpret_cast<loose_vec*>(p) = v; }
INLINE vec splat(real s) { return s - vec{}; }

INLINE real sum_lanes(vec v) {
  real half[kLanes];
  store(half, v);
  for (int n = kLanes / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) half[i] += half[i + n];
  return half[0];
}

// The operand order matters: these instructions return their second operand if either is NaN.
#ifdef __AVX__
INLINE __m256 clamp_lanes(__m256 x, float limit) {
  return _mm256_max_ps(_mm256_set1_ps(-limit), _mm256_min_ps(_mm256_set1_ps(limit), x));
}
INLINE __m256d clamp_lanes(__m256d x, double limit) {
  return _mm256_max_pd(_mm256_set1_pd(-limit), _mm256_min_pd(_mm256_set1_pd(limit), x));
}
INLINE vec clamped(vec x, real limit) { return (vec)clamp_lanes(x, limit); }
#else
INLINE vec clamped(vec x, real limit) {
  x = x > limit ? splat(limit) : x;
  return x < -limit ? splat(-limit) : x;
}
#endif

// Constants of tanh(x) = E / (E + 2) with E = exp(2 x) - 1. `power[i]` multiplies r^(i + 1) in
// exp(2 r) - 1 on |r| <= ln(2) / 4: least maximal relative error for float, Taylor for double.
template <typename T> struct Tanh;
template <> struct Tanh<float> {
  using Bits = std::int32_t;
  static constexpr float limit = 10, round = 12582912;  // 1.5 * 2^23
  static constexpr Bits mantissa = 23, one = 0x3f800000;
  static constexpr float power[] = {2.0f, 1.999999926f, 1.333323490f, 6.666751977e-1f,
                                    2.677286585e-1f, 8.884813772e-2f};
};
template <> struct Tanh<double> {
  using Bits = std::int64_t;
  static constexpr double limit = 20, round = 6755399441055744;  // 1.5 * 2^52
  static constexpr Bits mantissa = 52, one = 0x3ff0000000000000;
  static constexpr double power[] = {
      2.0, 2.0, 8.0 / 6, 16.0 / 24, 32.0 / 120, 64.0 / 720, 128.0 / 5040, 256.0 / 40320,
      512.0 / 362880, 1024.0 / 3628800, 2048.0 / 39916800, 4096.0 / 479001600,
      8192.0 / 6227020800};
};

// exp(2 x) is split into 2^n exp(2 r). Adding `round` leaves n in the low bits of the sum.
INLINE vec tanh_lanes(vec x) {
  using T = Tanh<real>;
  typedef T::Bits bits __attribute__((vector_size(32)));
  constexpr real per_step = static_cast<real>(2.885390081777926815);   // 2 / ln 2
  constexpr real step = static_cast<real>(0.34657359027997265471);     // ln 2 / 2
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

INLINE real dot(const real* a, const real* b, int size) {
  vec sums[4] = {};
  int i = 0;
  for (; i + 4 * kLanes <= size; i += 4 * kLanes)
    UNROLL for (int v = 0; v < 4; ++v)
      sums[v] += load(a + i + v * kLanes) * load(b + i + v * kLanes);
  for (; i + kLanes <= size; i += kLanes) sums[0] += load(a + i) * load(b + i);
  real total = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < size; ++i) total += a[i] * b[i];
  return total;
}

// ------------------------------------------------------------------------------------- Matrices

enum class Start { kZero, kResume, kRowBias, kColumnBias };

struct Operand {  // a(r, k) = data[r * row + k * depth]
  const real* data;
  int row, depth;
};

// One register tile of `multiply`.
template <Start S, int R, int V>
INLINE void tile(int depth, Operand a, const real* x, int ldx, real* y, int ldy, const real* bias) {
  vec sum[R][V];
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < V; ++v) {
    if (S == Start::kZero) sum[r][v] = vec{};
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
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < V; ++v)
    store(y + r * ldy + v * kLanes, sum[r][v]);
}

template <Start S, int R>
INLINE void tile_row(int depth, Operand a, const real* x, int ldx, real* y, int ldy, int columns,
                     const real* bias) {
  const int by_column = S == Start::kColumnBias;
  int v = 0;
  for (; v + 2 * kLanes <= columns; v += 2 * kLanes)
    tile<S, R, 2>(depth, a, x + v, ldx, y + v, ldy, bias + by_column * v);
  if (v < columns) tile<S, R, 1>(depth, a, x + v, ldx, y + v, ldy, bias + by_column * v);
}

// y(r, v) = start + sum_k a(r, k) x(k, v). `columns` is a whole number of vectors.
template <Start S>
INLINE void multiply(int rows, int depth, Operand a, const real* x, int ldx, real* y, int ldy,
                     int columns, const real* bias = nullptr) {
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
__attribute__((noinline)) void multiply_any(int rows, int depth, Operand a, const real* x, int ldx,
                                            real* y, int ldy, int columns,
                                            const real* bias = nullptr) {
  multiply<S>(rows, depth, a, x, ldx, y, ldy, columns, bias);
}

// One register tile of `correlate`.
template <int I, int J>
INLINE void correlate_tile(int nodes, const real* a, int a_node, const real* d,
                           int d_node, real* lanes, int ld) {
  vec sum[I][J];
  UNROLL for (int i = 0; i < I; ++i) UNROLL for (int j = 0; j < J; ++j)
    sum[i][j] = load(lanes + (i * ld + j) * kLanes);
  for (int n = 0; n < nodes; ++n)
    for (int v = 0; v < kBlock; v += kLanes) {
      const real* left = a + n * a_node + v;
      const real* right = d + n * d_node + v;
      vec ds[J];
      UNROLL for (int j = 0; j < J; ++j) ds[j] = load(right + j * kBlock);
      UNROLL for (int i = 0; i < I; ++i) {
        const vec value = load(left + i * kBlock);
        UNROLL for (int j = 0; j < J; ++j) sum[i][j] += value * ds[j];
      }
    }
  UNROLL for (int i = 0; i < I; ++i) UNROLL for (int j = 0; j < J; ++j)
    store(lanes + (i * ld + j) * kLanes, sum[i][j]);
}

template <int In, int Out, int J>
INLINE void correlate_column(int nodes, const real* a, const real* d, real* lanes) {
  const int a_node = In * kBlock, d_node = Out * kBlock;
  int i = 0;
  for (; i + 4 <= In; i += 4)
    correlate_tile<4, J>(nodes, a + i * kBlock, a_node, d, d_node,
                         lanes + i * Out * kLanes, Out);
  constexpr int rest = In % 4;
  if constexpr (rest > 0)
    correlate_tile<rest, J>(nodes, a + i * kBlock, a_node, d, d_node,
                            lanes + i * Out * kLanes, Out);
}

// lanes[i][j] += sum over nodes and samples of a[node][i] d[node][j], samples kept in lanes.
template <int In, int Out>
INLINE void correlate(int nodes, const real* a, const real* d, real* lanes) {
  int j = 0;
  for (; j + 3 <= Out; j += 3)
    correlate_column<In, Out, 3>(nodes, a, d + j * kBlock, lanes + j * kLanes);
  constexpr int rest = Out % 3;
  if constexpr (rest > 0)
    correlate_column<In, Out, rest>(nodes, a, d + j * kBlock,
                                    lanes + j * kLanes);
}

#ifdef __AVX__
INLINE void transpose_tile(const float* from, int ld_from, float* to, int ld_to) {
  __m256 a[8], b[8];
  UNROLL for (int i = 0; i < 8; ++i) a[i] = _mm256_loadu_ps(from + i * ld_from);
  UNROLL for (int i = 0; i < 8; i += 2) {
    b[i] = _mm256_unpacklo_ps(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_ps(a[i], a[i + 1]);
  }
  UNROLL for (int i = 0; i < 8; i += 4) UNROLL for (int h = 0; h < 2; ++h) {
    a[i + 2 * h] = _mm256_shuffle_ps(b[i + h], b[i + h + 2], 0x44);
    a[i + 2 * h + 1] = _mm256_shuffle_ps(b[i + h], b[i + h + 2], 0xee);
  }
  UNROLL for (int i = 0; i < 4; ++i) {
    _mm256_storeu_ps(to + i * ld_to, _mm256_permute2f128_ps(a[i], a[i + 4], 0x20));
    _mm256_storeu_ps(to + (i + 4) * ld_to, _mm256_permute2f128_ps(a[i], a[i + 4], 0x31));
  }
}
INLINE void transpose_tile(const double* from, int ld_from, double* to, int ld_to) {
  __m256d a[4], b[4];
  UNROLL for (int i = 0; i < 4; ++i) a[i] = _mm256_loadu_pd(from + i * ld_from);
  UNROLL for (int i = 0; i < 4; i += 2) {
    b[i] = _mm256_unpacklo_pd(a[i], a[i + 1]);
    b[i + 1] = _mm256_unpackhi_pd(a[i], a[i + 1]);
  }
  UNROLL for (int i = 0; i < 2; ++i) {
    _mm256_storeu_pd(to + i * ld_to, _mm256_permute2f128_pd(b[i], b[i + 2], 0x20));
    _mm256_storeu_pd(to + (i + 2) * ld_to, _mm256_permute2f128_pd(b[i], b[i + 2], 0x31));
  }
}
#else
INLINE void transpose_tile(const real* from, int ld_from, real* to, int ld_to) {
  for (int i = 0; i < kLanes; ++i)
    for (int j = 0; j < kLanes; ++j) to[j * ld_to + i] = from[i * ld_from + j];
}
#endif

// to[column][row] = from[row][column]; `columns` is a whole number of vectors.
template <int Rows>
INLINE void transpose(const real* from, int columns, real* to, int ld_to) {
  for (int c = 0; c < columns; c += kLanes) {
    int r = 0;
    for (; r + kLanes <= Rows; r += kLanes)
      transpose_tile(from + r * columns + c, columns, to + c * ld_to + r, ld_to);
    if constexpr (Rows % kLanes != 0) {
      real tail[kLanes * kLanes] = {};
      for (int i = 0; r + i < Rows; ++i)
        store(tail + i * kLanes, load(from + (r + i) * columns + c));
      transpose_tile(tail, kLanes, to + c * ld_to + r, ld_to);
    }
  }
}

// Calls f with an integral constant for every k in [0, Count).
template <typename F, int... K>
INLINE void each(F&& f, std::integer_sequence<int, K...>) {
  (f(std::integral_constant<int, K>{}), ...);
}
template <int Count, typename F>
INLINE void each(F&& f) { each(f, std::make_integer_sequence<int, Count>{}); }

// -------------------------------------------------------------------------------------- Problem

struct Problem {
  int members, batch;
  const real* const* weights;    // per map, (members, sources, nodes * channels)
  const real* const* biases;     // per map, (members, nodes * channels)
  const real* const* phenotype;  // W1, b1, W2, b2, ...
  const real* x;                 // (members, batch, inputs)
  real* y;                       // (members, batch, outputs)
  real* tape;                    // (members, tape size) or null
  const real* y_gradient;
  real* const* weight_gradients;  // like weights; null if not wanted
  real* const* bias_gradients;
  real* partial_gradients;        // (members, phenotype size); null if not wanted
};

constexpr int map_columns(int map) { return kSizes[kTo[map]] * kChannels; }
constexpr long map_size(int map) { return long(kSizes[kFrom[map]]) * map_columns(map); }

INLINE const real* weight_of(const Problem& p, int map, int member) {
  return p.weights[map] + member * map_size(map);
}
INLINE const real* bias_of(const Problem& p, int map, int member) {
  return p.biases[map] + long(member) * map_columns(map);
}

// Copies of the phenotype in the layouts that vectors along its units need.
struct Phenotype {
  alignas(32) real rows[kPaddedSize];             // (in, padded out) then bias, per layer
  alignas(32) real transposed[kTransposedSize];   // (out, padded in), per layer

  explicit Phenotype(const real* const* raw) : rows{}, transposed{} {
    for (int k = 1; k <= kStages; ++k) {
      const int in = kWidths[k - 1], out = kWidths[k];
      for (int i = 0; i < in; ++i)
        for (int j = 0; j < out; ++j) {
          const real value = raw[2 * k - 2][i * out + j];
          rows[padded_start(k) + i * padded(out) + j] = value;
          transposed[transposed_start(k) + j * padded(in) + i] = value;
        }
      std::copy_n(raw[2 * k - 1], out, rows + padded_bias(k));
    }
  }
};

enum class Path { kRows, kBlocks, kFolded };

// Counts multiplications of a forward and a backward pass of one member.
Path make_plan(int batch) {
  if (batch <= kLanes) return Path::kRows;
  const long samples = (batch + kBlock - 1) / kBlock * kBlock;
  const long folded = 2 * edges() * kChannels * kHidden + 3 * samples * edges() * kHidden;
  const long plain = 3 * samples * (edges() * kChannels + long(kNodes) * kChannels * kHidden);
  return folded < plain ? Path::kFolded : Path::kBlocks;
}

// Sum of the biases of all maps into a layer.
INLINE void sum_biases(const Problem& p, int layer, int member, real* sum) {
  const int size = kSizes[layer] * kChannels;
  std::fill_n(sum, size, real(0));
  for (int map = 0; map < kMaps; ++map) {
    if (kTo[map] != layer) continue;
    const real* bias = bias_of(p, map, member);
    for (int i = 0; i < size; ++i) sum[i] += bias[i];
  }
}

// Infinite inputs become NaN: saturating units would otherwise hide them.
INLINE real checked(real value) { return value + (value - value); }

// -------------------------------------------------------------------------------- Path "blocks"

template <bool Fold>
struct Blocks {
  static constexpr int kFirst = Fold ? 1 : 0;            // the first stage that is formed
  static constexpr int kUnits = kWidths[kFirst];
  static constexpr int kPadded = padded(kUnits);
  static constexpr int kColumns = kMostNodes * kPadded;  // widest effective matrix

  static constexpr int width_of_matrix(int layer) { return kSizes[layer] * kPadded; }
  static constexpr int matrix_start(int layer) {
    int total = 0;
    for (int b = 1; b < layer; ++b) total += (sources(b) + 1) * width_of_matrix(b);
    return total;
  }
  static constexpr int kMatrices = matrix_start(kLayers + 1);

  // Values of a block per sample: outputs of all nodes, then the stages before the last.
  static constexpr int stage_start(int stage) {
    int total = kAllNodes;
    for (int k = kFirst; k < stage; ++k) total += kNodes * kWidths[k];
    return total;
  }
  static constexpr int kBlockSize = stage_start(kStages) * kBlock;
  static constexpr int kDeltaSize = kMostNodes * kMostWidth * kBlock;

  static long tape_size(int batch) {
    return kMatrices + long((batch + kBlock - 1) / kBlock) * kBlockSize;
  }

  struct Scratch {
    alignas(32) real matrices[kMatrices + kLanes];
    alignas(32) real matrix_gradients[kMatrices + kLanes];
    alignas(32) real values[kBlockSize];
    alignas(32) real in[(most_sources() + 1) * kBlock];
    alignas(32) real out_gradients[kAllNodes * kBlock];
    alignas(32) real deltas[2][kDeltaSize];
    alignas(32) real transposed[kBlock * kColumns];
    alignas(32) real lanes[kPhenotypeSize * kLanes];
    alignas(32) real first_gradient[(kChannels + 1) * kPadded];
    alignas(32) real bias[kMostNodes * kChannels];
    alignas(32) real rows[kMostNodes * padded(kChannels)];
  };

  const Problem& p;
  const Phenotype& phenotype;
  Scratch& s;
  int member;

  // Effective matrix of one layer from the synapses.
  INLINE void gather_matrix(int layer, real* matrix) const {
    const int nodes = kSizes[layer], width = width_of_matrix(layer);
    for (int map = 0; map < kMaps; ++map)
      if (kTo[map] == layer)
        gather_rows(weight_of(p, map, member), kSizes[kFrom[map]] * nodes, nullptr,
                    matrix + source_row(map) * width);
    sum_biases(p, layer, member, s.bias);
    gather_rows(s.bias, nodes, phenotype.rows + padded_bias(1), matrix + sources(layer) * width);
  }

  INLINE void gather_rows(const real* from, int rows, const real* bias, real* to) const {
    const real* first = phenotype.rows + padded_start(1);
    const Operand a = {from, kChannels, 1};
    if (!Fold)
      for (int r = 0; r < rows; ++r) std::copy_n(from + r * kChannels, kUnits, to + r * kPadded);
    else if (bias)
      multiply_any<Start::kColumnBias>(rows, kChannels, a, first, kPadded, to, kPadded, kPadded,
                                       bias);
    else
      multiply_any<Start::kZero>(rows, kChannels, a, first, kPadded, to, kPadded, kPadded);
  }

  __attribute__((noinline)) void gather_matrices(real* matrices) const {
    for (int b = 1; b <= kLayers; ++b) gather_matrix(b, matrices + matrix_start(b));
  }

  // Outputs of the source nodes of a layer, and ones for the bias row.
  INLINE void gather_sources(int layer, const real* out) const {
    for (int map = 0; map < kMaps; ++map)
      if (kTo[map] == layer)
        std::copy_n(out + first_node(kFrom[map]) * kBlock, kSizes[kFrom[map]] * kBlock,
                    s.in + source_row(map) * kBlock);
    std::fill_n(s.in + sources(layer) * kBlock, kBlock, real(1));
  }

  INLINE void read_inputs(int first, real* out) const {
    const real* x = p.x + long(member) * p.batch * kInputs;
    for (int i = 0; i < kBlock; ++i) {
      const long from = long(std::min(first + i, p.batch - 1)) * kInputs;
      for (int n = 0; n < kInputs; ++n) out[n * kBlock + i] = checked(x[from + n]);
    }
  }

  __attribute__((noinline)) void forward(int first, const real* matrices, real* values) const {
    read_inputs(first, values);
    for (int b = 1; b <= kLayers; ++b) {
      gather_sources(b, values);
      drive(b, matrices + matrix_start(b), values);
      each<kStages - kFirst>([&](auto i) { forward_stage<i + kFirst + 1>(b, values); });
    }
    if (!p.y) return;
    const real* last = values + first_node(kLayers) * kBlock;
    real* y = p.y + (long(member) * p.batch + first) * kOutputs;
    for (int i = 0; i < std::min(kBlock, p.batch - first); ++i)
      for (int n = 0; n < kOutputs; ++n) y[i * kOutputs + n] = kOutputScale * last[n * kBlock + i];
  }

  INLINE void drive(int layer, const real* matrix, real* values) const {
    const int width = width_of_matrix(layer);
    real* to = stage(kFirst, layer, values);
    for (int n = 0; n < kSizes[layer]; ++n)
      multiply<Start::kZero>(kUnits, sources(layer) + 1, {matrix + n * kPadded, 1, width}, s.in,
                             kBlock, to + n * kUnits * kBlock, kBlock, kBlock);
    if (Fold) tanh_all(to, kSizes[layer] * kUnits * kBlock);
  }

  // Values of a stage of a layer, (nodes, units, samples).
  static INLINE real* stage(int k, int layer, real* values) {
    if (k == kStages) return values + first_node(layer) * kBlock;
    return values + (stage_start(k) + (first_node(layer) - kInputs) * kWidths[k]) * kBlock;
  }

  template <int K>
  INLINE void forward_stage(int layer, real* values) const {
    constexpr int in = kWidths[K - 1], out = kWidths[K];
    const real* from = stage(K - 1, layer, values);
    real* to = stage(K, layer, values);
    for (int n = 0; n < kSizes[layer]; ++n)
      multiply<Start::kRowBias>(out, in, {p.phenotype[2 * K - 2], 1, out},
                                from + n * in * kBlock, kBlock, to + n * out * kBlock, kBlock,
                                kBlock, p.phenotype[2 * K - 1]);
    if (K < kStages || kOutputTanh) tanh_all(to, kSizes[layer] * out * kBlock);
  }

  __attribute__((noinline)) void backward(int first, const real* matrices, real* values) const {
    std::fill_n(s.out_gradients, kAllNodes * kBlock, real(0));
    real* last = s.out_gradients + first_node(kLayers) * kBlock;
    const real* g = p.y_gradient + (long(member) * p.batch + first) * kOutputs;
    for (int i = 0; i < std::min(kBlock, p.batch - first); ++i)
      for (int n = 0; n < kOutputs; ++n) last[n * kBlock + i] = kOutputScale * g[i * kOutputs + n];
    for (int b = kLayers; b > 0; --b) backward_layer(b, matrices, values);
  }

  INLINE void backward_layer(int layer, const real* matrices, real* values) const {
    real* delta = s.out_gradients + first_node(layer) * kBlock;
    if (kOutputTanh)
      through_tanh(delta, stage(kStages, layer, values), kSizes[layer] * kBlock);
    each<kStages - kFirst>([&](auto i) {
      real* next = s.deltas[i % 2];
      backward_stage<kStages - i>(layer, values, delta, next);
      delta = next;
    });
    if (Fold || p.weight_gradients) matrix_gradient(layer, values, delta);
    source_gradients(layer, matrices + matrix_start(layer), delta);
  }

  // From the gradient of stage K before its tanh to the one of stage K - 1 before its tanh.
  template <int K>
  INLINE void backward_stage(int layer, real* values, const real* delta, real* next) const {
    constexpr int in = kWidths[K - 1], out = kWidths[K];
    const real* from = stage(K - 1, layer, values);
    if (p.partial_gradients) {
      correlate<in, out>(kSizes[layer], from, delta, s.lanes + weight_start(K) * kLanes);
      bias_lanes<out>(kSizes[layer], delta, s.lanes + bias_start(K) * kLanes);
    }
    for (int n = 0; n < kSizes[layer]; ++n)
      multiply<Start::kZero>(in, out, {p.phenotype[2 * K - 2], out, 1}, delta + n * out * kBlock,
                             kBlock, next + n * in * kBlock, kBlock, kBlock);
    if (K > 1) through_tanh(next, from, kSizes[layer] * in * kBlock);
  }

  template <int Out>
  static INLINE void bias_lanes(int nodes, const real* delta, real* lanes) {
    for (int j = 0; j < Out; ++j) {
      vec sum = load(lanes + j * kLanes);
      for (int n = 0; n < nodes; ++n)
        for (int v = 0; v < kBlock; v += kLanes) sum += load(delta + (n * Out + j) * kBlock + v);
      store(lanes + j * kLanes, sum);
    }
  }

  INLINE void matrix_gradient(int layer, const real* values, const real* delta) const {
    const int width = width_of_matrix(layer);
    for (int n = 0; n < kSizes[layer]; ++n)
      transpose<kUnits>(delta + n * kUnits * kBlock, kBlock, s.transposed + n * kPadded, width);
    gather_sources(layer, values);
    multiply<Start::kResume>(sources(layer) + 1, kBlock, {s.in, kBlock, 1}, s.transposed, width,
                             s.matrix_gradients + matrix_start(layer), width, width);
  }

  INLINE void source_gradients(int layer, const real* matrix, const real* delta) const {
    const int width = width_of_matrix(layer);
    for (int map = 0; map < kMaps; ++map) {
      if (kTo[map] != layer || kFrom[map] == 0) continue;
      real* to = s.out_gradients + first_node(kFrom[map]) * kBlock;
      const real* rows = matrix + source_row(map) * width;
      for (int n = 0; n < kSizes[layer]; ++n)
        multiply<Start::kResume>(kSizes[kFrom[map]], kUnits, {rows + n * kPadded, width, 1},
                                 delta + n * kUnits * kBlock, kBlock, to, kBlock, kBlock);
    }
  }

  void clear_gradients() const {
    std::fill_n(s.matrix_gradients, kMatrices, real(0));
    std::fill_n(s.lanes, kPhenotypeSize * kLanes, real(0));
    std::fill_n(s.first_gradient, (kChannels + 1) * kPadded, real(0));
  }

  __attribute__((noinline)) void write_synapse_gradients() const {
    for (int map = 0; map < kMaps; ++map) {
      const int nodes = kSizes[kTo[map]], width = width_of_matrix(kTo[map]);
      const real* gradient = s.matrix_gradients + matrix_start(kTo[map]);
      const int rows = kSizes[kFrom[map]];
      for (int r = 0; r < rows; ++r)
        write_row(gradient + (source_row(map) + r) * width, nodes,
                  p.weight_gradients[map] + member * map_size(map) + r * nodes * kChannels);
      write_row(gradient + sources(kTo[map]) * width, nodes,
                p.bias_gradients[map] + long(member) * nodes * kChannels);
    }
  }

  // Gradient of one source row of synapses from that of the effective matrix.
  INLINE void write_row(const real* gradient, int nodes, real* to) const {
    constexpr int width = padded(kChannels);
    const real* from = gradient;
    if (Fold) {
      from = width == kChannels ? to : s.rows;
      multiply_any<Start::kZero>(nodes, kUnits, {gradient, kPadded, 1}, phenotype.transposed, width,
                             const_cast<real*>(from), width, width);
    }
    if (from != to)
      for (int n = 0; n < nodes; ++n) std::copy_n(from + n * width, kChannels, to + n * kChannels);
  }

  // Gradient of the phenotype's first layer, contracted with the synapses.
  INLINE void contract_first_layer() const {
    for (int map = 0; map < kMaps; ++map) {
      const int layer = kTo[map], rows = kSizes[kFrom[map]] * kSizes[layer];
      const real* from = s.matrix_gradients + matrix_start(layer);
      contract(weight_of(p, map, member), rows, from + source_row(map) * width_of_matrix(layer));
    }
    real* bias = s.first_gradient + kChannels * kPadded;
    for (int b = 1; b <= kLayers; ++b) {
      const real* from = s.matrix_gradients + matrix_start(b) + sources(b) * width_of_matrix(b);
      sum_biases(p, b, member, s.bias);
      contract(s.bias, kSizes[b], from);
      for (int n = 0; n < kSizes[b]; ++n)
        for (int j = 0; j < kPadded; ++j) bias[j] += from[n * kPadded + j];
    }
  }

  INLINE void contract(const real* synapses, int rows, const real* gradient) const {
    multiply_any<Start::kResume>(kChannels, rows, {synapses, 1, kChannels}, gradient, kPadded,
                             s.first_gradient, kPadded, kPadded);
  }

  __attribute__((noinline)) void write_phenotype_gradient() const {
    real* to = p.partial_gradients + long(member) * kPhenotypeSize;
    for (int i = Fold ? weight_start(2) : 0; i < kPhenotypeSize; ++i)
      to[i] = sum_lanes(load(s.lanes + i * kLanes));
    if (!Fold) return;
    contract_first_layer();
    for (int r = 0; r <= kChannels; ++r)
      std::copy_n(s.first_gradient + r * kPadded, kUnits, to + r * kUnits);
  }

  // Calls f(first sample, block of the tape).
  template <typename F>
  INLINE void each_block(F&& f) const {
    for (int first = 0, i = 0; first < p.batch; first += kBlock, ++i) {
      real* values = p.tape ? tape() + kMatrices + long(i) * kBlockSize : s.values;
      f(first, values);
    }
  }

  real* tape() const { return p.tape + member * tape_size(p.batch); }

  void run_forward() const {
    real* matrices = p.tape ? tape() : s.matrices;
    gather_matrices(matrices);
    each_block([&](int first, real* values) { forward(first, matrices, values); });
  }

  void run_backward() const {
    real* matrices = p.tape ? tape() : s.matrices;
    if (!p.tape) gather_matrices(matrices);
    clear_gradients();
    each_block([&](int first, real* values) {
      if (!p.tape) forward(first, matrices, values);
      backward(first, matrices, values);
    });
    if (p.weight_gradients) write_synapse_gradients();
    if (p.partial_gradients) write_phenotype_gradient();
  }
};

// ---------------------------------------------------------------------------------- Path "rows"

// Values of one sample: outputs of all nodes, the drives, then the padded hidden stages.
constexpr int stage_width(int k) { return k == 0 ? kChannels : padded(kWidths[k]); }
constexpr int stage_start(int stage) {
  int total = padded(kAllNodes);
  for (int k = 0; k < stage; ++k) total += padded(kNodes * stage_width(k));
  return total;
}

struct Rows {
  static constexpr int kSampleSize = stage_start(kStages);
  static constexpr int kMostPadded = padded(kMostWidth);

  static long tape_size(int batch) { return long(batch) * kSampleSize; }

  struct Scratch {
    alignas(32) real values[kSampleSize + kLanes];
    alignas(32) real out_gradients[kAllNodes + kLanes];
    alignas(32) real deltas[2][kMostNodes * kMostPadded];
    alignas(32) real drive_gradient[kMostNodes * kChannels + kLanes];
    alignas(32) real gradient[kPaddedSize + kLanes];
  };

  const Problem& p;
  const Phenotype& phenotype;
  Scratch& s;
  int member;

  static INLINE real* stage(int k, int layer, real* values) {
    if (k == kStages) return values + first_node(layer);
    return values + stage_start(k) + (first_node(layer) - kInputs) * stage_width(k);
  }

  // to += sum over sources of out[source] * synapses[source].
  static INLINE void add_drive(const real* out, int rows, const real* synapses, int size,
                               real* to) {
    int i = 0;
    for (; i + 4 * kLanes <= size; i += 4 * kLanes)
      tile<Start::kResume, 1, 4>(rows, {out, 0, 1}, synapses + i, size, to + i, 0, nullptr);
    for (; i + kLanes <= size; i += kLanes)
      tile<Start::kResume, 1, 1>(rows, {out, 0, 1}, synapses + i, size, to + i, 0, nullptr);
    for (; i < size; ++i)
      for (int k = 0; k < rows; ++k) to[i] += out[k] * synapses[k * size + i];
  }

  __attribute__((noinline)) void forward(int sample, real* values) const {
    const real* x = p.x + (long(member) * p.batch + sample) * kInputs;
    for (int i = 0; i < kInputs; ++i) values[i] = checked(x[i]);
    for (int b = 1; b <= kLayers; ++b) {
      real* to = stage(0, b, values);
      sum_biases(p, b, member, to);
      for (int map = 0; map < kMaps; ++map)
        if (kTo[map] == b)
          add_drive(values + first_node(kFrom[map]), kSizes[kFrom[map]],
                    weight_of(p, map, member), map_columns(map), to);
      each<kStages - 1>([&](auto i) { forward_stage<i + 1>(b, values); });
      forward_output(b, values);
    }
    if (!p.y) return;
    real* y = p.y + (long(member) * p.batch + sample) * kOutputs;
    for (int n = 0; n < kOutputs; ++n) y[n] = kOutputScale * values[first_node(kLayers) + n];
  }

  template <int K>
  INLINE void forward_stage(int layer, real* values) const {
    constexpr int width = padded(kWidths[K]);
    real* to = stage(K, layer, values);
    multiply_any<Start::kColumnBias>(kSizes[layer], kWidths[K - 1],
                                 {stage(K - 1, layer, values), stage_width(K - 1), 1},
                                 phenotype.rows + padded_start(K), width, to, width, width,
                                 phenotype.rows + padded_bias(K));
    tanh_all(to, kSizes[layer] * width);
  }

  INLINE void forward_output(int layer, real* values) const {
    constexpr int width = stage_width(kStages - 1);
    const real* from = stage(kStages - 1, layer, values);
    const real bias = *p.phenotype[2 * kStages - 1];
    real to[padded(kMostNodes)] = {};
    for (int n = 0; n < kSizes[layer]; ++n)
      to[n] = bias + dot(from + n * width, phenotype.transposed + transposed_start(kStages), width);
    if (kOutputTanh) tanh_all(to, kSizes[layer]);
    std::copy_n(to, kSizes[layer], stage(kStages, layer, values));
  }

  __attribute__((noinline)) void backward(int sample, real* values) const {
    std::fill_n(s.out_gradients, kAllNodes, real(0));
    const real* g = p.y_gradient + (long(member) * p.batch + sample) * kOutputs;
    for (int n = 0; n < kOutputs; ++n)
      s.out_gradients[first_node(kLayers) + n] = kOutputScale * g[n];
    for (int b = kLayers; b > 0; --b) backward_layer(b, sample, values);
  }

  INLINE void backward_layer(int layer, int sample, real* values) const {
    real* delta = s.out_gradients + first_node(layer);
    const real* out = stage(kStages, layer, values);
    if (kOutputTanh)
      for (int n = 0; n < kSizes[layer]; ++n) delta[n] *= 1 - out[n] * out[n];
    backward_output(layer, values, delta, s.deltas[0]);
    each<kStages - 1>([&](auto i) {
      backward_stage<kStages - 1 - i>(layer, values, s.deltas[i % 2], s.deltas[(i + 1) % 2]);
    });
    const bool used = p.weight_gradients || layer > 1;
    if (used) synapse_gradients(layer, sample, values, s.deltas[(kStages - 1) % 2]);
  }

  // The phenotype's last layer, which has a single unit.
  INLINE void backward_output(int layer, real* values, const real* delta, real* next) const {
    constexpr int width = stage_width(kStages - 1);
    const real* weight = phenotype.transposed + transposed_start(kStages);
    const real* from = stage(kStages - 1, layer, values);
    if (p.partial_gradients) output_gradient(kSizes[layer], from, delta);
    for (int n = 0; n < kSizes[layer]; ++n)
      for (int i = 0; i < width; i += kLanes)
        store(next + n * width + i, splat(delta[n]) * load(weight + i));
    through_tanh(next, from, kSizes[layer] * width);
  }

  // Rows of the last layer are one vector wide and only their first lane is read.
  INLINE void output_gradient(int nodes, const real* from, const real* delta) const {
    constexpr int in = kWidths[kStages - 1], width = stage_width(kStages - 1);
    real* to = s.gradient + padded_start(kStages);
    for (int n = 0; n < nodes; ++n) {
      for (int i = 0; i < in; ++i) to[i * kLanes] += from[n * width + i] * delta[n];
      to[in * kLanes] += delta[n];
    }
  }

  // From the gradient of stage K before its tanh to the one of stage K - 1 before its tanh.
  template <int K>
  INLINE void backward_stage(int layer, real* values, const real* delta, real* next) const {
    constexpr int in = padded(kWidths[K - 1]), out = padded(kWidths[K]);
    const int nodes = kSizes[layer];
    const real* from = stage(K - 1, layer, values);
    if (p.partial_gradients) {
      real* to = s.gradient + padded_start(K);
      multiply_any<Start::kResume>(kWidths[K - 1], nodes, {from, 1, stage_width(K - 1)}, delta, out,
                                   to, out, out);
      real* bias = s.gradient + padded_bias(K);
      for (int n = 0; n < nodes; ++n)
        for (int j = 0; j < out; ++j) bias[j] += delta[n * out + j];
    }
    multiply_any<Start::kZero>(nodes, kWidths[K], {delta, out, 1},
                           phenotype.transposed + transposed_start(K), in, next, in, in);
    if (K > 1) through_tanh(next, from, nodes * in);
  }

  INLINE void synapse_gradients(int layer, int sample, const real* values, real* delta) const {
    constexpr int width = padded(kChannels);
    const int nodes = kSizes[layer];
    if (width != kChannels) {
      for (int n = 0; n < nodes; ++n)
        std::copy_n(delta + n * width, kChannels, s.drive_gradient + n * kChannels);
      delta = s.drive_gradient;
    }
    for (int map = 0; map < kMaps; ++map) {
      if (kTo[map] != layer) continue;
      if (p.weight_gradients) map_gradient(map, sample, values + first_node(kFrom[map]), delta);
      if (kFrom[map] > 0) source_gradient(map, delta);
    }
  }

  INLINE void map_gradient(int map, int sample, const real* out, const real* delta) const {
    const int size = map_columns(map);
    real* to = p.weight_gradients[map] + member * map_size(map);
    for (int k = 0; k < kSizes[kFrom[map]]; ++k)
      add_scaled(out[k], delta, size, sample > 0, to + k * size);
    add_scaled(real(1), delta, size, sample > 0, p.bias_gradients[map] + long(member) * size);
  }

  static INLINE void add_scaled(real factor, const real* delta, int size, bool resume, real* to) {
    if (resume)
      for (int i = 0; i < size; ++i) to[i] += factor * delta[i];
    else
      for (int i = 0; i < size; ++i) to[i] = factor * delta[i];
  }

  INLINE void source_gradient(int map, const real* delta) const {
    const int size = map_columns(map);
    const real* synapses = weight_of(p, map, member);
    for (int k = 0; k < kSizes[kFrom[map]]; ++k)
      s.out_gradients[first_node(kFrom[map]) + k] += dot(synapses + k * size, delta, size);
  }

  void write_phenotype_gradient() const {
    real* to = p.partial_gradients + long(member) * kPhenotypeSize;
    for (int k = 1; k <= kStages; ++k)
      for (int r = 0; r <= kWidths[k - 1]; ++r)
        std::copy_n(s.gradient + padded_start(k) + r * padded(kWidths[k]), kWidths[k],
                    to + weight_start(k) + r * kWidths[k]);
  }

  real* values_of(int sample) const {
    if (!p.tape) return s.values;
    return p.tape + (long(member) * p.batch + sample) * kSampleSize;
  }

  void run_forward() const {
    for (int i = 0; i < p.batch; ++i) forward(i, values_of(i));
  }

  void run_backward() const {
    if (p.partial_gradients) std::fill_n(s.gradient, kPaddedSize, real(0));
    for (int i = 0; i < p.batch; ++i) {
      if (!p.tape) forward(i, values_of(i));
      backward(i, values_of(i));
    }
    if (p.partial_gradients) write_phenotype_gradient();
  }
};

// -------------------------------------------------------------------------------------- Threads

// Waking a thread costs about as much as this many multiplications.
constexpr long kWorthAThread = 200000;

int useful_threads(int threads, int members, int batch) {
  const long each = batch * (edges() * kChannels + long(kNodes) * kPhenotypeSize);
  const long worth = 1 + members * each / kWorthAThread;
  return static_cast<int>(std::min({long(threads), long(members), worth}));
}

template <typename Member>
int run(const Problem& p, const Phenotype& phenotype, int threads) {
  std::atomic<int> failed{0};
  Pool::run(useful_threads(threads, p.members, p.batch), p.members, [&](int member) {
    auto* working = scratch<typename Member::Scratch>();
    if (!working) return failed.store(1);
    const Member task = {p, phenotype, *working, member};
    if (p.y) task.run_forward(); else task.run_backward();
  });
  return failed;
}

int run(const Problem& p, int threads) {
  const Phenotype phenotype(p.phenotype);
  switch (make_plan(p.batch)) {
    case Path::kRows: return run<Rows>(p, phenotype, threads);
    case Path::kBlocks: return run<Blocks<false>>(p, phenotype, threads);
    default: return run<Blocks<true>>(p, phenotype, threads);
  }
}

void add_partial_gradients(const Problem& p, real* total) {
  std::fill_n(total, kPhenotypeSize, real(0));
  for (int m = 0; m < p.members; ++m)
    for (int i = 0; i < kPhenotypeSize; ++i)
      total[i] += p.partial_gradients[long(m) * kPhenotypeSize + i];
}

}  // namespace

// ------------------------------------------------------------------------------------ Interface

extern "C" {

// Numbers per member on the tape.
long dan_tape_size(int batch) {
  switch (make_plan(batch)) {
    case Path::kRows: return Rows::tape_size(batch);
    case Path::kBlocks: return Blocks<false>::tape_size(batch);
    default: return Blocks<true>::tape_size(batch);
  }
}

int dan_path(int batch) { return static_cast<int>(make_plan(batch)); }

// `inputs` holds the weights of all maps, their biases, then the phenotype. Returns 0, or 1 if
// there is not enough memory.
int dan_forward(int members, int batch, int threads, const real* const* inputs, const real* x,
                 real* y, real* tape) {
  const Problem p = {members, batch, inputs, inputs + kMaps, inputs + 2 * kMaps, x, y, tape,
                     nullptr, nullptr, nullptr, nullptr};
  return run(p, threads);
}

// `synapse_gradients` holds one array per map for weights, then one per map for biases, or is null.
int dan_backward(int members, int batch, int threads, const real* const* inputs, const real* x,
                  real* tape, const real* y_gradient, real* const* synapse_gradients,
                  real* partial_gradients, real* phenotype_gradient) {
  real* const* biases = synapse_gradients ? synapse_gradients + kMaps : nullptr;
  const Problem p = {members, batch, inputs, inputs + kMaps, inputs + 2 * kMaps, x, nullptr, tape,
                     y_gradient, synapse_gradients, biases, partial_gradients};
  const int failed = run(p, threads);
  if (!failed && phenotype_gradient) add_partial_gradients(p, phenotype_gradient);
  return failed;
}

void dan_tanh(long size, const real* x, real* y) {
  for (long i = 0; i < size; ++i) y[i] = tanh_lanes(splat(x[i]))[0];
}

}  // extern "C"
