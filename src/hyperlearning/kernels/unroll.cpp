// Unrolled gradient descent of a population of networks of Deep Artificial Neurons, and its
// derivative.
//
// Every layer b receives a drive, the sum over its maps (a, b) of out_a @ W_ab + bias_ab. The drive
// of each node has `channels` entries and passes through one small perceptron (the phenotype) that
// all nodes of all layers and all members share. Sizes are compile-time constants: see "Sizes".
//
// A "state" holds the synapses of one member; a step replaces it by state - lr * gradient of the
// mean squared error. Members never meet, so that a thread takes one member through all steps while
// its state stays in the innermost cache. The gradient of a weight is an outer product of a node's
// output and a drive's gradient: it is subtracted in the pass that reads the weight anyway.
//
// The derivative runs backwards through the steps. It carries `lambda`, the outer gradient with
// respect to the state, and evaluates each step once more with every number accompanied by its
// tangent in the direction of lambda. The tangents of the step's gradients are then the Hessian
// times lambda and, for the phenotype, the mixed derivative times lambda: both exact.
//
// "Stage" k of a layer is the value after k layers of the phenotype: stage 0 is the drive, stage
// kStages the output. Vectors run along channels or units, which are padded to whole vectors; rows
// are nodes. With tangents, a layer has twice the rows: values first and tangents last on the way
// forward, but tangents first on the way back. Multiplying one by the other, row by row, then gives
// both terms of the product rule.
//
// Sums never depend on the number of threads: phenotype gradients are kept per member and added in
// the order of the members.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

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
constexpr int kChannels = kWidths[0];
constexpr int kInputs = kSizes[0];
constexpr int kOutputs = kSizes[kLayers];

constexpr int padded(int size) { return (size + kLanes - 1) / kLanes * kLanes; }
constexpr int kPaddedChannels = padded(kChannels);

// First node of a layer when the nodes of all layers but the input layer are counted in one go.
constexpr int first_node(int layer) {
  int total = 0;
  for (int i = 1; i < layer; ++i) total += kSizes[i];
  return total;
}
constexpr int kNodes = first_node(kLayers + 1);

// Outputs of a layer start at a whole vector.
constexpr int first_output(int layer) {
  int total = 0;
  for (int i = 0; i < layer; ++i) total += padded(kSizes[i]);
  return total;
}
constexpr int kAllOutputs = first_output(kLayers + 1);

constexpr int most_nodes() {
  int most = 0;
  for (int size : kSizes) most = size > most ? size : most;
  return most;
}

// Row length of a layer's synapses: one number per node and channel, then padding.
constexpr int columns(int layer) { return padded(kSizes[layer] * kChannels); }
constexpr int first_column(int layer) {
  int total = 0;
  for (int i = 1; i < layer; ++i) total += columns(i);
  return total;
}
constexpr int kColumns = first_column(kLayers + 1);

// A state holds, per map, one row per source node and the bias as a last row.
constexpr int state_start(int map) {
  int total = 0;
  for (int i = 0; i < map; ++i) total += (kSizes[kFrom[i]] + 1) * columns(kTo[i]);
  return total;
}
constexpr int kStateSize = state_start(kMaps);

// Where weight and bias of phenotype layer k (from stage k - 1 to k) start in the flat gradient.
constexpr int weight_start(int k) {
  int total = 0;
  for (int i = 1; i < k; ++i) total += (kWidths[i - 1] + 1) * kWidths[i];
  return total;
}
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

// Where the rows of stage k start: values and tangents of all nodes.
constexpr int stage_start(int k) {
  int total = 0;
  for (int i = 0; i < k; ++i) total += 2 * kNodes * padded(kWidths[i]);
  return total;
}
constexpr int kStageSize = stage_start(kStages + 1);

// -------------------------------------------------------------------------------------- Vectors

typedef real vec __attribute__((vector_size(32)));
typedef real loose_vec __attribute__((vector_size(32), aligned(sizeof(real)), may_alias));

INLINE vec load(const real* p) { return *reinterpret_cast<const loose_vec*>(p); }
INLINE void store(real* p, vec v) { *reinterpret_cast<loose_vec*>(p) = v; }
INLINE vec splat(real s) { return s - vec{}; }

// The operand order of `clamp_lanes` matters: the second operand is the result if either is NaN.
#ifdef __AVX__
INLINE __m256 clamp_lanes(__m256 x, float limit) {
  return _mm256_max_ps(_mm256_set1_ps(-limit), _mm256_min_ps(_mm256_set1_ps(limit), x));
}
INLINE __m256d clamp_lanes(__m256d x, double limit) {
  return _mm256_max_pd(_mm256_set1_pd(-limit), _mm256_min_pd(_mm256_set1_pd(limit), x));
}
INLINE vec clamped(vec x, real limit) { return (vec)clamp_lanes(x, limit); }
INLINE float add_lanes(__m256 v) {
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}
INLINE double add_lanes(__m256d v) {
  const __m128d two = _mm_add_pd(_mm256_castpd256_pd128(v), _mm256_extractf128_pd(v, 1));
  return _mm_cvtsd_f64(_mm_add_sd(two, _mm_unpackhi_pd(two, two)));
}
INLINE real sum_lanes(vec v) { return add_lanes(v); }
#else
INLINE vec clamped(vec x, real limit) {
  x = x > limit ? splat(limit) : x;
  return x < -limit ? splat(-limit) : x;
}
INLINE real sum_lanes(vec v) {
  real half[kLanes];
  store(half, v);
  for (int n = kLanes / 2; n > 0; n /= 2)
    for (int i = 0; i < n; ++i) half[i] += half[i + n];
  return half[0];
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

// ------------------------------------------------------------------------------------- Matrices

struct Operand {  // a(r, k) = data[r * row + k * depth]
  const real* data;
  int row, depth;
};

// One register tile of `multiply`.
template <bool Add, int R, int V>
INLINE void tile(int depth, Operand a, const real* x, int ldx, real* y, int ldy) {
  vec sum[R][V] = {};
  for (int k = 0; k < depth; ++k) {
    vec xs[V];
    UNROLL for (int v = 0; v < V; ++v) xs[v] = load(x + k * ldx + v * kLanes);
    UNROLL for (int r = 0; r < R; ++r) {
      const vec factor = splat(a.data[r * a.row + k * a.depth]);
      UNROLL for (int v = 0; v < V; ++v) sum[r][v] += factor * xs[v];
    }
  }
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < V; ++v) {
    real* to = y + r * ldy + v * kLanes;
    store(to, Add ? load(to) + sum[r][v] : sum[r][v]);
  }
}

template <bool Add, int V>
INLINE void tile_column(int rows, int depth, Operand a, const real* x, int ldx, real* y, int ldy) {
  constexpr int most = 8 / V;  // accumulators that hide the latency and fit the registers
  int r = 0;
  auto at = [&] { return Operand{a.data + r * a.row, a.row, a.depth}; };
  for (; r + most <= rows; r += most) tile<Add, most, V>(depth, at(), x, ldx, y + r * ldy, ldy);
  if (most > 4 && r + 4 <= rows) {
    tile<Add, 4, V>(depth, at(), x, ldx, y + r * ldy, ldy);
    r += 4;
  }
  if (r + 2 <= rows) {
    tile<Add, 2, V>(depth, at(), x, ldx, y + r * ldy, ldy);
    r += 2;
  }
  if (r < rows) tile<Add, 1, V>(depth, at(), x, ldx, y + r * ldy, ldy);
}

// y(r, v) = sum_k a(r, k) x(k, v), or plus that. `columns` is a whole number of vectors.
template <bool Add>
INLINE void multiply(int rows, int depth, Operand a, const real* x, int ldx, real* y, int ldy,
                     int columns) {
  int v = 0;
  for (; v + 2 * kLanes <= columns; v += 2 * kLanes)
    tile_column<Add, 2>(rows, depth, a, x + v, ldx, y + v, ldy);
  if (v < columns) tile_column<Add, 1>(rows, depth, a, x + v, ldx, y + v, ldy);
}

// ------------------------------------------------------------------------------ Working memory

struct Problem {
  int steps, members, batch;
  real lr;
  const real* const* phenotype;
  const real* x;             // (steps, members, batch, inputs)
  const real* y;             // (steps, members, batch, outputs)
  real* losses;              // (steps, members)
  real* tape;                // every `stride`-th state of every member, or null
  int stride;
  const real* const* given;  // synapses, or the outer gradient with respect to the last ones
  real* const* result;       // likewise, at the other end of the window
  real* partial_gradients;   // one phenotype gradient per member, or null

  int slots() const { return (steps + stride - 1) / stride; }
  real* slot(int member, int index) const {
    return tape + (long(member) * slots() + index) * kStateSize;
  }
};

// The phenotype with rows padded to whole vectors, as it is and transposed.
struct Phenotype {
  alignas(64) real straight[kPaddedSize] = {};
  alignas(64) real transposed[kTransposedSize] = {};

  explicit Phenotype(const real* const* parameters) {
    for (int k = 1; k <= kStages; ++k) {
      const int in = kWidths[k - 1], out = kWidths[k];
      const real* weight = parameters[2 * k - 2];
      for (int i = 0; i < in; ++i)
        for (int j = 0; j < out; ++j) {
          straight[padded_start(k) + i * padded(out) + j] = weight[i * out + j];
          transposed[transposed_start(k) + j * padded(in) + i] = weight[i * out + j];
        }
      std::copy_n(parameters[2 * k - 1], out, straight + padded_bias(k));
    }
  }
};

// What a sample leaves behind for the update of the synapses.
struct Sample {
  real out[2][kAllOutputs];    // values, tangents
  real delta[2 * kColumns];    // gradient of the drive; with tangents, those come first
};

struct Scratch {
  real stages[kStageSize];     // stage k of all layers, on the way forward
  real deltas[kStageSize];     // gradient of stage k before its tanh, k > 0
  real last_deltas[2 * kNodes];
  real out_deltas[2][kAllOutputs];  // gradient of the outputs and its tangent
  real drive[2 * most_nodes() * kPaddedChannels + 2 * kLanes];
  real gradient[kPaddedSize];
  real state[kStateSize];
  real lambda[kStateSize];
};

// Zeroed, because padding is read.
template <typename S>
class Memory {
 public:
  explicit Memory(long count) {
    const std::size_t bytes = (sizeof(S) * count + 63) / 64 * 64;
    data_ = static_cast<S*>(std::aligned_alloc(64, bytes));
    if (data_) std::memset(static_cast<void*>(data_), 0, bytes);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() { std::free(data_); }
  S* get() const { return data_; }

 private:
  S* data_;
};

// Calls f(integral_constant<int, 0>), ..., f(integral_constant<int, N - 1>).
template <typename F, int... I>
INLINE void each_of(F&& f, std::integer_sequence<int, I...>) {
  (f(std::integral_constant<int, I>()), ...);
}
template <int N, typename F>
INLINE void each(F&& f) { each_of(f, std::make_integer_sequence<int, N>()); }

// ----------------------------------------------------------------------------------- One sample

// Forward and reverse pass of one sample; with tangents if T.
template <bool T>
struct Pass {
  const Phenotype& phenotype;
  Scratch& s;
  Sample& sample;
  const real* state;
  const real* lambda;  // the state's tangent

  static constexpr int kCopies = T ? 2 : 1;

  template <int K>
  real* stage(int layer) const {
    return s.stages + stage_start(K) + 2 * first_node(layer) * padded(kWidths[K]);
  }
  template <int K>
  real* stage_delta(int layer) const {
    return s.deltas + stage_start(K) + 2 * first_node(layer) * padded(kWidths[K]);
  }
  real* delta(int layer) const { return sample.delta + 2 * first_column(layer); }

  void forward(const real* x) const {
    std::copy_n(x, kInputs, sample.out[0]);
    for (int layer = 1; layer <= kLayers; ++layer) {
      drive(layer);
      each<kStages>([&](auto k) { forward_stage<k + 1>(layer); });
    }
  }

  // ---- synapses

  void drive(int layer) const {
    const int size = columns(layer);
    real* to = kChannels == kPaddedChannels ? stage<0>(layer) : s.drive;
    constexpr int most = T ? 4 : 8;
    int j = 0;
    for (; j + most * kLanes <= size; j += most * kLanes) drive_chunk<most>(layer, j, to);
    for (; j + 2 * kLanes <= size; j += 2 * kLanes) drive_chunk<2>(layer, j, to);
    for (; j < size; j += kLanes) drive_chunk<1>(layer, j, to);
    if (kChannels != kPaddedChannels) spread(layer);
  }

  template <int V>
  INLINE void drive_chunk(int layer, int column, real* to) const {
    const int size = columns(layer);
    vec value[V] = {}, through[V] = {}, direct[V] = {};
    for (int map = 0; map < kMaps; ++map) {
      if (kTo[map] != layer) continue;
      const real* out = sample.out[0] + first_output(kFrom[map]);
      const real* tangent = sample.out[1] + first_output(kFrom[map]);
      long at = state_start(map) + column;
      for (int i = 0; i < kSizes[kFrom[map]]; ++i, at += size)
        UNROLL for (int v = 0; v < V; ++v) {
          const vec w = load(state + at + v * kLanes);
          value[v] += splat(out[i]) * w;
          if constexpr (!T) continue;
          through[v] += splat(tangent[i]) * w;
          direct[v] += splat(out[i]) * load(lambda + at + v * kLanes);
        }
      UNROLL for (int v = 0; v < V; ++v) {
        value[v] += load(state + at + v * kLanes);
        if constexpr (T) direct[v] += load(lambda + at + v * kLanes);
      }
    }
    UNROLL for (int v = 0; v < V; ++v) {
      store(to + column + v * kLanes, value[v]);
      if constexpr (T) store(to + size + column + v * kLanes, through[v] + direct[v]);
    }
  }

  // From rows of all nodes to one padded row per node.
  void spread(int layer) const {
    const int nodes = kSizes[layer];
    for (int copy = 0; copy < kCopies; ++copy)
      for (int n = 0; n < nodes; ++n)
        std::copy_n(s.drive + copy * columns(layer) + n * kChannels, kChannels,
                    stage<0>(layer) + (copy * nodes + n) * kPaddedChannels);
  }

  // The way back.
  void gather(int layer) const {
    const int nodes = kSizes[layer];
    for (int copy = 0; copy < kCopies; ++copy)
      for (int n = 0; n < nodes; ++n)
        std::copy_n(s.drive + (copy * nodes + n) * kPaddedChannels, kChannels,
                    delta(layer) + copy * columns(layer) + n * kChannels);
  }

  // ---- phenotype

  template <int K>
  void forward_stage(int layer) const {
    constexpr int in = padded(kWidths[K - 1]), width = padded(kWidths[K]);
    const int nodes = kSizes[layer];
    multiply<false>(kCopies * nodes, kWidths[K - 1], {stage<K - 1>(layer), in, 1},
                    phenotype.straight + padded_start(K), width, stage<K>(layer), width, width);
    if constexpr (K < kStages) activate<K>(layer); else output(layer);
  }

  template <int K>
  INLINE void activate(int layer) const {
    constexpr int width = padded(kWidths[K]);
    const int nodes = kSizes[layer];
    const real* bias = phenotype.straight + padded_bias(K);
    real* value = stage<K>(layer);
    real* tangent = value + nodes * width;
    for (int n = 0; n < nodes; ++n)
      for (int j = 0; j < width; j += kLanes) {
        const vec h = tanh_lanes(load(value + n * width + j) + load(bias + j));
        store(value + n * width + j, h);
        if constexpr (!T) continue;
        real* t = tangent + n * width + j;
        store(t, load(t) * (splat(1) - h * h));
      }
  }

  INLINE void output(int layer) const {
    const int nodes = kSizes[layer];
    const real bias = phenotype.straight[padded_bias(kStages)];
    const real* from = stage<kStages>(layer);
    real* value = sample.out[0] + first_output(layer);
    real* tangent = sample.out[1] + first_output(layer);
    for (int n = 0; n < nodes; ++n) value[n] = from[n * kLanes] + bias;
    if (T)
      for (int n = 0; n < nodes; ++n) tangent[n] = from[(nodes + n) * kLanes];
    if (!kOutputTanh) return;
    for (int n = 0; n < nodes; n += kLanes) {
      const vec h = tanh_lanes(load(value + n));
      store(value + n, h);
      if constexpr (T) store(tangent + n, load(tangent + n) * (splat(1) - h * h));
    }
  }

  // ---- reverse

  // Gradient of the loss with respect to the outputs; returns the sum of squared errors.
  real outer(const real* y, real factor) const {
    const int at = first_output(kLayers);
    std::memset(s.out_deltas, 0, sizeof(s.out_deltas));
    real total = 0;
    for (int n = 0; n < kOutputs; ++n) {
      const real error = kOutputScale * sample.out[0][at + n] - y[n];
      total += error * error;
      s.out_deltas[0][at + n] = factor * kOutputScale * error;
      if (T) s.out_deltas[1][at + n] = factor * kOutputScale * kOutputScale * sample.out[1][at + n];
    }
    return total;
  }

  // From the gradient of a layer's outputs to the one of its drive.
  void backward_layer(int layer) const {
    output_delta(layer);
    each<kStages - 1>([&](auto i) { backward_stage<kStages - 1 - i>(layer); });
    if (kChannels != kPaddedChannels) gather(layer);
  }

  INLINE void output_delta(int layer) const {
    constexpr int K = kStages - 1, width = padded(kWidths[K]);
    const int nodes = kSizes[layer], at = first_output(layer);
    real* last = s.last_deltas + 2 * first_node(layer);
    for (int n = 0; n < nodes; ++n) {
      const real h = sample.out[0][at + n], slope = kOutputTanh ? 1 - h * h : 1;
      const real g = s.out_deltas[0][at + n];
      last[(kCopies - 1) * nodes + n] = g * slope;
      if (!T) continue;
      const real bend = kOutputTanh ? 2 * g * h * sample.out[1][at + n] : 0;
      last[n] = s.out_deltas[1][at + n] * slope - bend;
    }
    const real* weight = phenotype.transposed + transposed_start(kStages);
    real* to = stage_delta<K>(layer);
    for (int n = 0; n < kCopies * nodes; ++n)
      for (int i = 0; i < width; i += kLanes)
        store(to + n * width + i, splat(last[n]) * load(weight + i));
    through_tanh<K>(layer);
  }

  // From the gradient of stage K before its tanh to the one of stage K - 1 before its tanh.
  template <int K>
  void backward_stage(int layer) const {
    constexpr int in = padded(kWidths[K - 1]), width = padded(kWidths[K]);
    real* to = stage_delta<K - 1>(layer);
    if (K == 1) to = kChannels == kPaddedChannels ? delta(layer) : s.drive;
    multiply<false>(kCopies * kSizes[layer], kWidths[K], {stage_delta<K>(layer), width, 1},
                    phenotype.transposed + transposed_start(K), in, to, in, in);
    if constexpr (K > 1) through_tanh<K - 1>(layer);
  }

  template <int K>
  INLINE void through_tanh(int layer) const {
    const int size = kSizes[layer] * padded(kWidths[K]);
    const real* h = stage<K>(layer);
    real* tangent = stage_delta<K>(layer);
    real* value = tangent + (kCopies - 1) * size;
    for (int i = 0; i < size; i += kLanes) {
      const vec y = load(h + i), u = load(value + i), slope = splat(1) - y * y;
      store(value + i, u * slope);
      if constexpr (!T) continue;
      const vec bend = splat(2) * u * y * load(h + size + i);
      store(tangent + i, load(tangent + i) * slope - bend);
    }
  }

  // Adds the tangent of the phenotype's gradient, of all layers at once.
  void add_phenotype_gradient() const {
    each<kStages - 1>([&](auto i) { add_stage_gradient<i + 1>(); });
    constexpr int in = kWidths[kStages - 1], width = padded(in);
    const real* from = s.stages + stage_start(kStages - 1);
    real* to = s.gradient + padded_start(kStages);
    vec sums[width / kLanes] = {};
    for (int r = 0; r < 2 * kNodes; ++r)
      for (int v = 0; v < width / kLanes; ++v)
        sums[v] += splat(s.last_deltas[r]) * load(from + r * width + v * kLanes);
    // Rows of the last layer are one vector wide and only their first lane is read.
    for (int i = 0; i < in; ++i) to[i * kLanes] += sums[i / kLanes][i % kLanes];
    for_tangents([&](int r) { to[in * kLanes] += s.last_deltas[r]; });
  }

  template <int K>
  void add_stage_gradient() const {
    constexpr int in = padded(kWidths[K - 1]), width = padded(kWidths[K]);
    const real* delta = s.deltas + stage_start(K);
    multiply<true>(kWidths[K - 1], 2 * kNodes, {s.stages + stage_start(K - 1), 1, in}, delta, width,
                   s.gradient + padded_start(K), width, width);
    vec sums[width / kLanes] = {};
    for_tangents([&](int r) {
      for (int v = 0; v < width / kLanes; ++v) sums[v] += load(delta + r * width + v * kLanes);
    });
    real* bias = s.gradient + padded_bias(K);
    for (int v = 0; v < width / kLanes; ++v)
      store(bias + v * kLanes, load(bias + v * kLanes) + sums[v]);
  }

  // Rows that hold tangents on the way back.
  template <typename F>
  static INLINE void for_tangents(F&& f) {
    for (int layer = 1; layer <= kLayers; ++layer)
      for (int n = 0; n < kSizes[layer]; ++n) f(2 * first_node(layer) + n);
  }
};

// --------------------------------------------------------------------------------- One synapse row

// Reads one row of synapses (and of lambda): gradients of its source node, then the row's update.
// Without T, `target` becomes row - lr * out * delta. With T, `delta` starts with its tangent and
// the same happens to lambda with the tangent of out * delta.
template <bool T, bool Sources, bool Update>
struct Row {
  int size;
  const real* delta;
  real factor, tangent_factor;  // lr * out
  vec value[2] = {}, through[2] = {}, direct[2] = {};

  template <int V>
  INLINE void chunk(const real* w, const real* l, real* target, int j) {
    UNROLL for (int v = 0; v < V; ++v, j += kLanes) {
      const vec weight = load(w + j);
      const vec d = load(delta + (T ? size : 0) + j);
      if constexpr (Sources) value[v] += weight * d;
      if constexpr (T) {
        const vec dt = load(delta + j), lam = load(l + j);
        if constexpr (Sources) through[v] += weight * dt, direct[v] += lam * d;
        if constexpr (Update)
          store(target + j, lam - splat(tangent_factor) * d - splat(factor) * dt);
      } else if constexpr (Update) {
        store(target + j, weight - splat(factor) * d);
      }
    }
  }

  INLINE void run(const real* w, const real* l, real* target) {
    int j = 0;
    for (; j + 2 * kLanes <= size; j += 2 * kLanes) chunk<2>(w, l, target, j);
    for (; j < size; j += kLanes) chunk<1>(w, l, target, j);
  }
};

// ----------------------------------------------------------------------------------- One member

struct Member {
  const Problem& p;
  const Phenotype& phenotype;
  Scratch& s;
  Sample* samples;
  real* states;  // states between two of the tape
  int member;

  // ---- a step

  // One pass over the batch: a step without T, its derivative with T. `target` becomes the state
  // after the step, or lambda before it.
  template <bool T>
  void step(int t, const real* state, const real* lambda, real* target) const {
    const real factor = real(2) / (real(p.batch) * kOutputs);
    const long first = (long(t) * p.members + member) * p.batch;
    real total = 0;
    for (int i = 0; i < p.batch; ++i) {
      const Pass<T> pass = {phenotype, s, samples[i], state, lambda};
      pass.forward(p.x + (first + i) * kInputs);
      total += pass.outer(p.y + (first + i) * kOutputs, factor);
      for (int layer = kLayers; layer > 0; --layer) {
        pass.backward_layer(layer);
        if (p.batch == 1) synapses<T, true>(pass, layer, target);
        else if (layer > 1) synapses<T, false>(pass, layer, nullptr);
      }
      if (T && p.partial_gradients) pass.add_phenotype_gradient();
    }
    if (!T && p.losses) p.losses[long(t) * p.members + member] = total / (real(p.batch) * kOutputs);
    if (p.batch > 1) update<T>(T ? lambda : state, target);
  }

  template <bool T, bool Update>
  void synapses(const Pass<T>& pass, int layer, real* target) const {
    for (int map = 0; map < kMaps; ++map) {
      if (kTo[map] != layer) continue;
      if (kFrom[map] > 0) rows<T, true, Update>(pass, map, target);
      else if (Update) rows<T, false, Update>(pass, map, target);
    }
  }

  template <bool T, bool Sources, bool Update>
  void rows(const Pass<T>& pass, int map, real* target) const {
    const int size = columns(kTo[map]), nodes = kSizes[kFrom[map]], at = first_output(kFrom[map]);
    const real* delta = pass.delta(kTo[map]);
    long row = state_start(map);
    for (int i = 0; i < nodes; ++i, row += size) {
      const real factor = p.lr * pass.sample.out[0][at + i];
      const real tangent = T ? p.lr * pass.sample.out[1][at + i] : 0;
      Row<T, Sources, Update> one = {size, delta, factor, tangent};
      one.run(pass.state + row, pass.lambda + (T ? row : 0), target + (Update ? row : 0));
      if (!Sources) continue;
      s.out_deltas[0][at + i] += sum_lanes(one.value[0] + one.value[1]);
      if (!T) continue;
      const vec sum = (one.through[0] + one.through[1]) + (one.direct[0] + one.direct[1]);
      s.out_deltas[1][at + i] += sum_lanes(sum);
    }
    if constexpr (!Update) return;
    // The bias acts like a node whose output is 1; its tangent is that of the gradient alone.
    Row<T, false, true> bias = {size, delta, p.lr, 0};
    bias.run(pass.state + row, pass.lambda + (T ? row : 0), target + row);
  }

  // With several samples, synapses change after the last one.
  template <bool T>
  void update(const real* from, real* to) const {
    for (int map = 0; map < kMaps; ++map) {
      const int size = columns(kTo[map]);
      long row = state_start(map);
      for (int i = 0; i <= kSizes[kFrom[map]]; ++i, row += size) {
        const real* source = from + row;
        real* target = to + row;
        int j = 0;
        for (; j + 8 * kLanes <= size; j += 8 * kLanes) update_chunk<T, 8>(map, i, j, source, target);
        for (; j + 2 * kLanes <= size; j += 2 * kLanes) update_chunk<T, 2>(map, i, j, source, target);
        for (; j < size; j += kLanes) update_chunk<T, 1>(map, i, j, source, target);
      }
    }
  }

  template <bool T, int V>
  INLINE void update_chunk(int map, int i, int j, const real* from, real* to) const {
    const int size = columns(kTo[map]), at = first_output(kFrom[map]) + i;
    const bool is_bias = i == kSizes[kFrom[map]];
    vec sums[V] = {};
    for (int b = 0; b < p.batch; ++b) {
      const Sample& sample = samples[b];
      const real* delta = sample.delta + 2 * first_column(kTo[map]) + j;
      const vec out = splat(is_bias ? 1 : sample.out[0][at]);
      UNROLL for (int v = 0; v < V; ++v) sums[v] += out * load(delta + v * kLanes);
      if (!T || is_bias) continue;
      const vec tangent = splat(sample.out[1][at]);
      UNROLL for (int v = 0; v < V; ++v) sums[v] += tangent * load(delta + size + v * kLanes);
    }
    UNROLL for (int v = 0; v < V; ++v) {
      const int k = j + v * kLanes;
      store(to + k, load(from + k) - splat(p.lr) * sums[v]);
    }
  }

  // ---- the window

  bool is_kept(int t) const { return p.tape && t % p.stride == 0 && t < p.steps; }

  real* home(int t) const { return is_kept(t) ? p.slot(member, t / p.stride) : s.state; }

  void run_forward() const {
    const real* state = home(0);
    pack(p.given, home(0));
    for (int t = 0; t < p.steps; ++t) {
      real* next = home(t + 1);
      step<false>(t, state, nullptr, next);
      state = next;
    }
    unpack(state, p.result);
  }

  void run_backward() const {
    std::fill_n(s.gradient, kPaddedSize, real(0));
    pack(p.given, s.lambda);
    for (int index = p.slots() - 1; index >= 0; --index) {
      const int begin = index * p.stride, end = std::min(p.steps, begin + p.stride);
      const real* kept = p.slot(member, index);
      auto state = [&](int t) { return states + long(t - begin - 1) * kStateSize; };
      auto at = [&](int t) { return t == begin ? kept : state(t); };
      for (int t = begin; t + 1 < end; ++t) step<false>(t, at(t), nullptr, state(t + 1));
      for (int t = end - 1; t >= begin; --t) step<true>(t, at(t), s.lambda, s.lambda);
    }
    unpack(s.lambda, p.result);
    if (p.partial_gradients) write_phenotype_gradient();
  }

  void write_phenotype_gradient() const {
    real* to = p.partial_gradients + long(member) * kPhenotypeSize;
    for (int k = 1; k <= kStages; ++k)
      for (int r = 0; r <= kWidths[k - 1]; ++r)
        for (int j = 0; j < kWidths[k]; ++j)
          *to++ = -p.lr * s.gradient[padded_start(k) + r * padded(kWidths[k]) + j];
  }

  // ---- between tensors and states

  // Tensors are the weights of all maps, then their biases. The padding of `to` must be zero.
  void pack(const real* const* from, real* to) const {
    for (int map = 0; map < kMaps; ++map) {
      const int size = kSizes[kTo[map]] * kChannels, nodes = kSizes[kFrom[map]];
      for (int i = 0; i <= nodes; ++i) {
        real* row = to + state_start(map) + i * columns(kTo[map]);
        std::copy_n(tensor_row(from, map, i), size, row);
        std::fill(row + size, row + columns(kTo[map]), real(0));
      }
    }
  }

  void unpack(const real* from, real* const* to) const {
    for (int map = 0; map < kMaps; ++map)
      for (int i = 0; i <= kSizes[kFrom[map]]; ++i)
        std::copy_n(from + state_start(map) + i * columns(kTo[map]), kSizes[kTo[map]] * kChannels,
                    tensor_row(to, map, i));
  }

  template <typename R>
  R* tensor_row(R* const* tensors, int map, int i) const {
    const long size = kSizes[kTo[map]] * kChannels, nodes = kSizes[kFrom[map]];
    if (i == nodes) return tensors[kMaps + map] + member * size;
    return tensors[map] + (member * nodes + i) * size;
  }
};

// -------------------------------------------------------------------------------------- Threads

// Starting a thread costs about as much as this many multiplications.
constexpr double kWorthAThread = 1e6;

int useful_threads(const Problem& p, int threads) {
  const double each = 3.0 * p.batch * (kStateSize + double(kNodes) * kPhenotypeSize);
  const double worth = 1 + p.members * each * p.steps / kWorthAThread;
  return static_cast<int>(std::min({double(threads), double(p.members), worth}));
}

// Takes members, one at a time, until none is left.
void work(const Problem& p, const Phenotype& phenotype, std::atomic<int>& next,
          std::atomic<int>& failed) {
  const bool forward = p.losses;
  const long between = forward ? 0 : long(p.stride - 1) * kStateSize;
  const Memory<Scratch> scratch(1);
  const Memory<Sample> samples(p.batch);
  const Memory<real> states(between);
  if (!scratch.get() || !samples.get() || (between && !states.get())) return failed.store(1);
  for (int m; (m = next.fetch_add(1)) < p.members;) {
    const Member member = {p, phenotype, *scratch.get(), samples.get(), states.get(), m};
    if (forward) member.run_forward(); else member.run_backward();
  }
}

int run(const Problem& p, int threads) {
  const Phenotype phenotype(p.phenotype);
  std::atomic<int> next{0}, failed{0};
  auto task = [&] { work(p, phenotype, next, failed); };
  std::vector<std::thread> helpers;
  try {
    for (int i = 1; i < useful_threads(p, threads); ++i) helpers.emplace_back(task);
  } catch (const std::system_error&) {
    // Fewer threads do the same work.
  }
  task();
  for (auto& helper : helpers) helper.join();
  return failed;
}

}  // namespace

// ------------------------------------------------------------------------------------ Interface

extern "C" {

// Numbers in one member's state on the tape.
long unroll_state_size() { return kStateSize; }

// `inputs` holds the weights of all maps, their biases, then the phenotype; `result` the weights
// and biases after the last step. Returns 0, or 1 if there is not enough memory.
int unroll_forward(int steps, int members, int batch, int threads, double lr,
                   const real* const* inputs, const real* x, const real* y, real* tape, int stride,
                   real* const* result, real* losses) {
  const Problem p = {steps, members, batch, static_cast<real>(lr), inputs + 2 * kMaps, x, y, losses,
                     tape, stride, inputs, result, nullptr};
  return run(p, threads);
}

// `given` and `result` hold the outer gradients of weights and biases after and before the window.
// The phenotype's gradient (one row per member, then their sum) may be null.
int unroll_backward(int steps, int members, int batch, int threads, double lr,
                    const real* const* phenotype, const real* x, const real* y, real* tape,
                    int stride, const real* const* given, real* const* result,
                    real* phenotype_gradients) {
  const Problem p = {steps, members, batch, static_cast<real>(lr), phenotype, x, y, nullptr, tape,
                     stride, given, result, phenotype_gradients};
  const int failed = run(p, threads);
  if (failed || !phenotype_gradients) return failed;
  real* total = phenotype_gradients + long(members) * kPhenotypeSize;
  std::fill_n(total, kPhenotypeSize, real(0));
  for (int m = 0; m < members; ++m)
    for (int i = 0; i < kPhenotypeSize; ++i)
      total[i] += phenotype_gradients[long(m) * kPhenotypeSize + i];
  return 0;
}

}  // extern "C"
