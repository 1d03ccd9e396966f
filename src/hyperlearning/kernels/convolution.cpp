// Forward and backward pass of one small convolutional phenotype over many drives.
//
// An "item" is one neuron's drive for one sample: `channels` numbers, seen as an image of one map. It passes convolutions
// without padding, then dense layers, to one number. Leaky ReLU follows every layer but the last, which it follows only if
// asked to. Sizes are compile-time constants.
//
// Items are taken in blocks (see `matrices.h`), so that every multiplication is one number of a weight times a vector of
// items, and a block's values stay in the innermost cache from the first layer to the last. "Stage" k is the value after k
// layers, activation included: stage 0 is the drive. The last block is padded with zeros, and so are its output gradients.
//
// Stages are kept on a "tape" between forward and backward, or recomputed block by block if no tape is given. A leaky
// ReLU's slope is told from the sign of its result.
//
// Gradients of convolution weights are summed per lane, and lanes are added up at the end of a "chunk" of blocks; those of
// dense weights have vectors along units, for which a block's gradient is transposed. Sums never depend on the number of
// threads: a thread takes one chunk at a time, and chunks have gradients of their own, added in their order.

#include "matrices.h"
#include "workers.h"

namespace {

// ---------------------------------------------------------------------------------------- Sizes

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
constexpr int kChunk = 16 * kBlock;          // items in a chunk
constexpr int kRows = 6;                     // rows of a register tile

constexpr int root(int square) {
  int side = 0;
  while (side * side < square) ++side;
  return side;
}

constexpr bool is_conv(int k) { return k <= kConvs; }
constexpr int side(int k) { return root(kChannels) - k * (kKernel - 1); }
constexpr int area(int k) { return side(k) * side(k); }
constexpr int features(int k) { return is_conv(k) ? kMaps[k] * area(k) : kUnits[k - kConvs - 1]; }
constexpr bool activated(int k) { return k == 0 ? kInputActivation : (k < kStages || kOutputActivation); }

// Where a pixel under a convolution's kernel lies in a map of stage k.
constexpr int tap_start(int k, int tap) { return (tap / kKernel * side(k) + tap % kKernel) * kBlock; }

// Stages of a block, one after the other.
constexpr int stage_start(int k) {
  return total(0, k, [](int i) { return features(i) * kBlock; });
}
constexpr int kValues = stage_start(kStages + 1);
constexpr int kMostFeatures = most(0, kStages + 1, features);
constexpr int kMostUnits = most(kConvs + 1, kStages + 1, [](int k) { return padded(features(k)); });

// Weight and bias of layer k, which leads to stage k, and where they start in the flat gradient.
constexpr int weights(int k) { return is_conv(k) ? kMaps[k] * kMaps[k - 1] * kTaps : features(k) * features(k - 1); }
constexpr int biases(int k) { return is_conv(k) ? kMaps[k] : features(k); }
constexpr int flat_start(int k) {
  return total(1, k, [](int i) { return weights(i) + biases(i); });
}
constexpr int kSize = flat_start(kStages + 1);

// Where they start among a chunk's sums: lanes for convolutions and biases, padded rows for dense layers.
constexpr int weight_sums(int k) { return is_conv(k) ? weights(k) * kLanes : features(k - 1) * padded(features(k)); }
constexpr int sums_start(int k) {
  return total(1, k, [](int i) { return weight_sums(i) + biases(i) * kLanes; });
}
constexpr int kSums = sums_start(kStages + 1);

// Multiplications of one item, forward.
constexpr long multiplications() {
  return total(1, kStages + 1, [](int k) { return long(weights(k)) * (is_conv(k) ? area(k) : 1); });
}

// --------------------------------------------------------------------------------------- Vectors

// A NaN compares false and stays a NaN.
INLINE vec leaky(vec x) { return x > 0 ? x : x * splat(kSlope); }
INLINE vec through_leaky(vec gradient, vec y) { return y > 0 ? gradient : gradient * splat(kSlope); }

INLINE vec sum_vectors(const real* from, int count) {
  vec sums[2] = {};
  int i = 0;
  for (; i + 2 <= count; i += 2)
    UNROLL for (int p = 0; p < 2; ++p) sums[p] += load(from + (i + p) * kLanes);
  return sums[0] + sums[1];
}

// Sums of R rows. A multiplication waits for the one before it: where few rows are summed, each has several partial sums,
// taken in turn by `part`.
template <int R>
struct Tile {
  static constexpr int kParts = R * kVectors >= 8 ? 1 : (R * kVectors >= 4 ? 2 : 4);
  vec sums[kParts][R][kVectors] = {};

  // Adds w[r * stride] * x of every row.
  INLINE void step(int part, const real* w, int stride, const real* x) {
    vec xs[kVectors];
    UNROLL for (int v = 0; v < kVectors; ++v) xs[v] = load(x + v * kLanes);
    UNROLL for (int r = 0; r < R; ++r) {
      const vec weight = splat(w[r * stride]);
      UNROLL for (int v = 0; v < kVectors; ++v) sums[part % kParts][r][v] += weight * xs[v];
    }
  }

  // Calls f(row, its place in a block, sum) for every row and vector.
  template <typename F>
  INLINE void finish(F&& f) const {
    UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < kVectors; ++v) {
      vec sum = sums[0][r][v];
      UNROLL for (int p = 1; p < kParts; ++p) sum += sums[p][r][v];
      f(r, v * kLanes, sum);
    }
  }
};

// Calls f(first row, tile) for sum_k w(row, k) x(k).
template <int N, int Depth, typename F>
INLINE void dense(Operand w, const real* x, F&& f) {
  for_tiles<N, kRows>([&](int row, auto rows) INLINE_LAMBDA {
    Tile<decltype(rows)::value> tile;
    const real* own = w.data + row * w.row;
    constexpr int whole = Depth / 4 * 4;
    for (int k = 0; k < whole; k += 4)
      UNROLL for (int part = 0; part < 4; ++part)
        tile.step(part, own + (k + part) * w.depth, w.row, x + (k + part) * kBlock);
    for (int k = whole; k < Depth; ++k) tile.step(0, own + k * w.depth, w.row, x + k * kBlock);
    f(row, tile);
  });
}

// ----------------------------------------------------------------------------------------- Chunk

struct Problem {
  long items;
  const real* const* parameters;  // weight and bias of every layer
  const real* drive;
  real* y;                        // null on the way back
  real* tape;
  const real* y_gradient = nullptr;
  real* drive_gradient = nullptr;     // or null
  real* partial_gradients = nullptr;  // one flat gradient per chunk, or null
};

struct Scratch {
  alignas(64) real values[kValues];
  alignas(64) real gradients[2][kMostFeatures * kBlock];
  alignas(64) real transposed[kMostUnits * kBlock];
  alignas(64) real sums[kSums];
};

struct Chunk {
  const Problem& p;
  Scratch& s;
  const int chunk;

  INLINE const real* weight(int k) const { return p.parameters[2 * k - 2]; }
  INLINE const real* bias(int k) const { return p.parameters[2 * k - 1]; }
  INLINE real* gradient_of(int stage) const { return s.gradients[stage % 2]; }

  // ---- forward

  INLINE void forward(long first, int count, real* values) const {
    if (count < kBlock) std::fill_n(values, kChannels * kBlock, real(0));
    transpose<false>(p.drive + first * kChannels, count, kChannels, kChannels, values, kBlock);
    if (kInputActivation)
      for (int i = 0; i < kChannels * kBlock; i += kLanes) store(values + i, leaky(load(values + i)));
    each<kStages>([&](auto i) INLINE_LAMBDA {
      constexpr int K = i + 1;
      const real* from = values + stage_start(K - 1);
      real* to = values + stage_start(K);
      if constexpr (is_conv(K))
        forward_conv<K>(from, to);
      else
        dense<features(K), features(K - 1)>({weight(K), 1, features(K)}, from, [&](int row, const auto& tile) INLINE_LAMBDA {
          finish<K>(tile, row, to + row * kBlock, kBlock);
        });
    });
  }

  template <int K, int R>
  INLINE void finish(const Tile<R>& tile, int row, real* to, int stride) const {
    tile.finish([&](int r, int at, vec sum) INLINE_LAMBDA {
      const vec x = sum + splat(bias(K)[row + r]);
      store(to + r * stride + at, activated(K) ? leaky(x) : x);
    });
  }

  template <int K>
  INLINE void forward_conv(const real* from, real* to) const {
    constexpr int depth = kMaps[K - 1] * kTaps;
    for_tiles<kMaps[K], kRows>([&](int row, auto rows) INLINE_LAMBDA {
      for (int y = 0; y < side(K); ++y)
        for (int x = 0; x < side(K); ++x) {
          Tile<decltype(rows)::value> tile;
          for (int in = 0; in < kMaps[K - 1]; ++in) {
            const real* source = from + (in * area(K - 1) + y * side(K - 1) + x) * kBlock;
            const real* w = weight(K) + row * depth + in * kTaps;
            UNROLL for (int t = 0; t < kTaps; ++t) tile.step(t, w + t, depth, source + tap_start(K - 1, t));
          }
          finish<K>(tile, row, to + (row * area(K) + y * side(K) + x) * kBlock, area(K) * kBlock);
        }
    });
  }

  // ---- backward

  INLINE void backward(long first, int count, const real* values) const {
    real* gradient = gradient_of(kStages);
    for (int i = 0; i < kBlock; ++i) gradient[i] = i < count ? p.y_gradient[first + i] : 0;
    if (kOutputActivation)
      for (int i = 0; i < kBlock; i += kLanes)
        store(gradient + i, through_leaky(load(gradient + i), load(values + stage_start(kStages) + i)));
    each<kStages>([&](auto i) INLINE_LAMBDA { backward_layer<kStages - i>(values + stage_start(kStages - i - 1)); });
    if (p.drive_gradient)
      transpose<false>(gradient_of(0), kChannels, count, kBlock, p.drive_gradient + first * kChannels, kChannels);
  }

  // From the gradient of stage K to the one of the stage before it, both before their activations.
  template <int K>
  INLINE void backward_layer(const real* from) const {
    const real* gradient = gradient_of(K);
    if (p.partial_gradients) {
      if constexpr (is_conv(K)) conv_gradients<K>(from, gradient); else dense_gradients<K>(from, gradient);
    }
    if (K == 1 && !p.drive_gradient) return;
    real* to = gradient_of(K - 1);
    if constexpr (is_conv(K))
      conv_to_source<K>(gradient, from, to);
    else
      dense<features(K - 1), features(K)>({weight(K), features(K), 1}, gradient, [&](int row, const auto& tile) INLINE_LAMBDA {
        finish_gradient<K - 1>(tile, from + row * kBlock, to + row * kBlock, kBlock);
      });
  }

  template <int K, int R>
  INLINE void finish_gradient(const Tile<R>& tile, const real* stage, real* to, int stride) const {
    tile.finish([&](int r, int at, vec g) INLINE_LAMBDA {
      at += r * stride;
      store(to + at, activated(K) ? through_leaky(g, load(stage + at)) : g);
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
              const real* w = weight(K) + row * kTaps + i * kKernel + j;
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
    constexpr int size = area(K) * kBlock, depth = kMaps[K - 1] * kTaps;
    real* sums = s.sums + sums_start(K);
    for_tiles<kMaps[K], (T >= 12 ? 1 : 12 / T)>([&](int row, auto rows) INLINE_LAMBDA {
      for (int in = 0; in < kMaps[K - 1]; ++in)
        for (int first = 0; first < kTaps; first += T)
          correlate<decltype(rows)::value, T>(
              side(K), side(K) * kBlock, gradient + row * size, side(K) * kBlock, size,
              from + in * area(K - 1) * kBlock + tap_start(K - 1, first), side(K - 1) * kBlock,
              [](int t) { return tap_start(K - 1, t); }, sums + (row * depth + in * kTaps + first) * kLanes, depth);
    });
    real* to = sums + weight_sums(K);
    for (int out = 0; out < kMaps[K]; ++out) add(to + out * kLanes, sum_vectors(gradient + out * size, size / kLanes));
  }

  template <int K>
  INLINE void dense_gradients(const real* from, const real* gradient) const {
    constexpr int columns = features(K), width = padded(columns);
    real* sums = s.sums + sums_start(K);
    transpose<true>(gradient, columns, kBlock, kBlock, s.transposed, width);
    multiply<Start::kResume>(features(K - 1), kBlock, {from, kBlock, 1}, s.transposed, width, sums, width, width);
    real* to = sums + weight_sums(K);
    for (int j = 0; j < columns; ++j) add(to + j * kLanes, sum_vectors(gradient + j * kBlock, kVectors));
  }

  template <int K>
  void write_gradients(real* to) const {
    const auto write_sums = [&](const real* lanes, int count) {
      for (int i = 0; i < count; ++i) *to++ = sum_lanes(load(lanes + i * kLanes));
    };
    const real* sums = s.sums + sums_start(K);
    if constexpr (is_conv(K))
      write_sums(sums, weights(K));
    else
      for (int i = 0; i < features(K - 1); ++i)
        to = std::copy_n(sums + i * padded(features(K)), features(K), to);
    write_sums(sums + weight_sums(K), biases(K));
  }

  // ---- all items

  // Calls f(first item, number of items, values) for the blocks of the chunk.
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
    if (!p.partial_gradients) return;
    real* to = p.partial_gradients + long(chunk) * kSize;
    each<kStages>([&](auto i) { write_gradients<i + 1>(to + flat_start(i + 1)); });
  }
};

int num_chunks(long items) { return static_cast<int>((items + kChunk - 1) / kChunk); }

int run(const Problem& p, int threads) {
  const int chunks = num_chunks(p.items), useful = useful_threads(threads, chunks, double(p.items) * multiplications());
  return run_with_scratch<Scratch>(useful, chunks, [&](Scratch& working, int chunk) {
    const Chunk task = {p, working, chunk};
    if (p.y) task.run_forward(); else task.run_backward();
    return true;
  });
}

}  // namespace

extern "C" {

// Numbers on the tape, and chunks.
long conv_tape_size(long items) { return (items + kBlock - 1) / kBlock * kValues; }
int conv_num_chunks(long items) { return num_chunks(items); }

// `parameters` holds weight and bias of every layer. Returns 0, or 1 if there is not enough memory.
int conv_forward(long items, int threads, const real* const* parameters, const real* drive, real* y, real* tape) {
  return run({items, parameters, drive, y, tape}, threads);
}

// Gradients that are not wanted are null: of the drive, or of the parameters, of which there is one flat gradient per chunk
// and their sum.
int conv_backward(long items, int threads, const real* const* parameters, const real* drive, real* tape,
                  const real* y_gradient, real* drive_gradient, real* partial_gradients, real* gradient) {
  const int failed =
      run({items, parameters, drive, nullptr, tape, y_gradient, drive_gradient, partial_gradients}, threads);
  if (!failed && gradient) add_rows(partial_gradients, num_chunks(items), kSize, gradient);
  return failed;
}

}  // extern "C"
