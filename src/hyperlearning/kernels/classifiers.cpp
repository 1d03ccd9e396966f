// Forward and backward pass of a population of small convolutional classifiers, each on a batch of images of its own.
//
// A classifier passes convolutions without padding, each followed by the maximum of every 2 x 2 window and ReLU, then
// dense layers with ReLU between them, to logits; its loss is the mean cross-entropy. "Stage" s is the value after s
// convolutions, channels last; "layer" l the value after l dense layers, layer 0 being the last stage with channels
// first. Sizes are compile-time constants.
//
// A convolution and its pooling are one pass: the four positions of a window are a register tile, and what is kept of
// them is the largest number and where its patch starts. Three quarters of a convolution's gradient are zeros then, and
// ReLU adds to them: backwards there is one term for every window and map whose gradient is not zero.
//
// A member's images are taken in chunks, whose gradients are added up in their order. A thread takes a member at a time,
// so that results do not depend on the number of threads.

#include <cmath>
#include <cstdint>

#include "matrices.h"
#include "workers.h"

namespace {

// ---------------------------------------------------------------------------------------- Sizes

constexpr int kSide = CLASSIFIER_SIDE;                                // of images
constexpr int kMaps[] = {CLASSIFIER_CHANNELS, CLASSIFIER_MAPS};      // of images, then of every convolution
constexpr int kUnits[] = {CLASSIFIER_UNITS};                         // of every dense layer, the logits last
constexpr int kKernel = CLASSIFIER_KERNEL;                           // side of all convolutions

constexpr int kConvs = sizeof(kMaps) / sizeof(int) - 1;
constexpr int kDense = sizeof(kUnits) / sizeof(int);
constexpr int kLogits = kUnits[kDense - 1];
constexpr int kChunk = 16;                                           // images of a chunk
constexpr int kSlack = 4 * kLanes;                                   // read, and never used, behind a row of taps

constexpr int side(int s) { return s == 0 ? kSide : (side(s - 1) - kKernel + 1) / 2; }
constexpr int area(int s) { return side(s) * side(s); }
constexpr int stage_size(int s) { return area(s) * kMaps[s] + kSlack; }
constexpr int units(int l) { return l == 0 ? kMaps[kConvs] * area(kConvs) : kUnits[l - 1]; }

// A row of taps of a kernel over stage s: numbers that lie together in an image.
constexpr int taps(int s) { return kKernel * kMaps[s]; }

// Starts of stages, of what is kept of windows, of layers, and of weights as they are multiplied.
constexpr int stage_start(int s) {
  return total(0, s, [](int i) { return stage_size(i) * kChunk; });
}
constexpr int layer_start(int l) {
  return total(0, l, [](int i) { return padded(units(i)) * kChunk; });
}
constexpr int by_tap_start(int s) {  // [row][tap][map, padded]
  return total(0, s, [](int i) { return kKernel * taps(i) * padded(kMaps[i + 1]); });
}
constexpr int by_map_start(int s) {  // [map][row][tap, padded]
  return total(0, s, [](int i) { return kMaps[i + 1] * kKernel * padded(taps(i)); });
}
constexpr int by_input_start(int l) {  // [input][unit, padded]
  return total(0, l, [](int i) { return units(i) * padded(units(i + 1)); });
}
constexpr int by_unit_start(int l) {  // [unit][input, padded]
  return total(0, l, [](int i) { return units(i + 1) * padded(units(i)); });
}
constexpr int bias_start(int layer) {  // of convolutions, then of dense layers; whole vectors
  return total(0, layer, [](int i) { return padded(i < kConvs ? kMaps[i + 1] : units(i - kConvs + 1)); });
}

// Weight and bias of every layer, one after the other as a module has them.
constexpr int weights(int layer) {
  return layer < kConvs ? kMaps[layer + 1] * kMaps[layer] * kKernel * kKernel
                        : units(layer - kConvs) * units(layer - kConvs + 1);
}
constexpr int biases(int layer) { return layer < kConvs ? kMaps[layer + 1] : units(layer - kConvs + 1); }
constexpr int flat_start(int layer) {
  return total(0, layer, [](int i) { return weights(i) + biases(i); });
}
constexpr int kSize = flat_start(kConvs + kDense);

constexpr double multiplications() {  // of an image, forward
  return total(0, kConvs, [](int s) { return 4.0 * weights(s) * area(s + 1); }) +
         total(kConvs, kConvs + kDense, [](int i) { return double(weights(i)); });
}

struct alignas(64) Scratch {
  real stages[stage_start(kConvs + 1)];
  real stage_gradients[stage_start(kConvs + 1)];
  int chosen[stage_start(kConvs + 1)];  // where the patch of a window's largest number starts in the stage before
  real layers[layer_start(kDense + 1) + kSlack];
  real layer_gradients[layer_start(kDense + 1) + kSlack];
  real by_tap[by_tap_start(kConvs)];
  real by_map[by_map_start(kConvs)];
  real by_input[by_input_start(kDense)];
  real by_unit[by_unit_start(kDense)];
  real bias[bias_start(kConvs + kDense)];
  real map_sums[by_map_start(kConvs)];    // gradients, laid out as `by_map`
  real unit_sums[by_unit_start(kDense)];  // and as `by_unit`
  real bias_sums[bias_start(kConvs + kDense)];
  real gradient[kSize];
};

// --------------------------------------------------------------------------------------- Weights

// Calls f(place in a module's weights, map, row, place in a row of taps) for all of a convolution's weights.
template <int S, typename F>
INLINE void for_weights(F&& f) {
  int at = 0;
  for (int map = 0; map < kMaps[S + 1]; ++map)
    for (int c = 0; c < kMaps[S]; ++c)
      for (int row = 0; row < kKernel; ++row)
        for (int column = 0; column < kKernel; ++column) f(at++, map, row, column * kMaps[S] + c);
}

template <int S>
INLINE int by_map_at(int map, int row, int tap) {
  return by_map_start(S) + (map * kKernel + row) * padded(taps(S)) + tap;
}

void lay_out(const real* flat, Scratch& s, bool backward) {
  each<kConvs>([&](auto S) {
    const real* from = flat + flat_start(S);
    for_weights<S>([&](int at, int map, int row, int tap) {
      s.by_tap[by_tap_start(S) + (row * taps(S) + tap) * padded(kMaps[S + 1]) + map] = from[at];
      if (backward) s.by_map[by_map_at<S>(map, row, tap)] = from[at];
    });
    std::copy_n(from + weights(S), biases(S), s.bias + bias_start(S));
  });
  each<kDense>([&](auto L) {
    constexpr int layer = kConvs + L, in = units(L), out = units(L + 1);
    const real* from = flat + flat_start(layer);
    transpose<true>(from, out, in, in, s.by_input + by_input_start(L), padded(out));
    if (backward)
      for (int unit = 0; unit < out; ++unit)
        std::copy_n(from + unit * in, in, s.by_unit + by_unit_start(L) + unit * padded(in));
    std::copy_n(from + weights(layer), out, s.bias + bias_start(layer));
  });
}

// The gradient as a module has its weights, times a factor.
void take_gradient(const Scratch& s, real factor, real* flat) {
  each<kConvs>([&](auto S) {
    real* to = flat + flat_start(S);
    for_weights<S>([&](int at, int map, int row, int tap) {
      to[at] = s.map_sums[by_map_at<S>(map, row, tap)] * factor;
    });
    for (int i = 0; i < biases(S); ++i) to[weights(S) + i] = s.bias_sums[bias_start(S) + i] * factor;
  });
  each<kDense>([&](auto L) {
    constexpr int layer = kConvs + L, in = units(L), out = units(L + 1);
    real* to = flat + flat_start(layer);
    for (int unit = 0; unit < out; ++unit)
      for (int i = 0; i < in; ++i) to[unit * in + i] = s.unit_sums[by_unit_start(L) + unit * padded(in) + i] * factor;
    for (int i = 0; i < out; ++i) to[weights(layer) + i] = s.bias_sums[bias_start(layer) + i] * factor;
  });
}

// --------------------------------------------------------------------------------------- Forward

// A load of its own: compilers else repeat it in every multiplication, of which there are more than loads a cycle.
INLINE vec in_register(vec x) {
#ifdef __AVX__
  asm("" : "+v"(x));
#endif
  return x;
}

INLINE vec relu(vec x) { return x < 0 ? vec{} : x; }  // A NaN stays one.

// The images of a chunk, channels last. Their places are those given, or follow one another.
void read_images(const real* images, const int64_t* places, long first, int count, Scratch& s) {
  constexpr long size = long(kMaps[0]) * area(0);
  for (int i = 0; i < count; ++i) {
    const real* from = images + (places ? places[first + i] : first + i) * size;
    real* to = s.stages + i * stage_size(0);
    if constexpr (kMaps[0] == 1) std::copy_n(from, size, to);
    else transpose<false>(from, kMaps[0], area(0), area(0), to, kMaps[0]);
  }
}

// V vectors of maps of one window: the largest number of four positions with its bias, and where its patch starts.
template <int S, int V>
INLINE void window(const real* stage, int corner, const real* w, const real* bias, real* to, int* chosen, int maps) {
  constexpr int width = padded(kMaps[S + 1]), line = side(S) * kMaps[S];
  constexpr int starts[4] = {0, kMaps[S], line, line + kMaps[S]};
  const real* x = stage + corner;
  vec sums[4][V] = {};
  for (int row = 0; row < kKernel; ++row, x += line) {
    for (int tap = 0; tap < taps(S); ++tap, w += width) {
      vec ws[V];
      UNROLL for (int v = 0; v < V; ++v) ws[v] = in_register(load(w + v * kLanes));
      UNROLL for (int p = 0; p < 4; ++p) {
        const vec one = splat(x[starts[p] + tap]);
        UNROLL for (int v = 0; v < V; ++v) sums[p][v] += one * ws[v];
      }
    }
  }
  UNROLL for (int v = 0; v < V; ++v) {
    vec largest = sums[0][v];
    mask which = {};
    UNROLL for (int p = 1; p < 4; ++p) {
      const mask larger = (sums[p][v] > largest) | (sums[p][v] != sums[p][v]);
      largest = larger ? sums[p][v] : largest;
      which = larger ? mask{} + starts[p] : which;
    }
    const int count = std::min(kLanes, maps - v * kLanes);
    store_some(to + v * kLanes, relu(largest + load(bias + v * kLanes)), count);
    for (int i = 0; i < count; ++i) chosen[v * kLanes + i] = corner + static_cast<int>(which[i]);
  }
}

template <int S>
void convolve(int count, Scratch& s) {
  constexpr int maps = kMaps[S + 1], width = padded(maps), rows = side(S + 1);
  for (int i = 0; i < count; ++i) {
    const real* from = s.stages + stage_start(S) + i * stage_size(S);
    const int to = stage_start(S + 1) + i * stage_size(S + 1);
    for (int y = 0; y < rows; ++y)
      for (int x = 0; x < rows; ++x) {
        const int corner = (2 * y * side(S) + 2 * x) * kMaps[S], at = to + (y * rows + x) * maps;
        for_chunks<3, 2, 1>(width, [&](int v, auto V) INLINE_LAMBDA {
          window<S, decltype(V)::value>(from, corner, s.by_tap + by_tap_start(S) + v, s.bias + bias_start(S) + v,
                                        s.stages + at + v, s.chosen + at + v, maps - v);
        });
      }
  }
}

template <int L>
INLINE real* layer(real* layers) { return layers + layer_start(L); }

void forward(int count, Scratch& s) {
  each<kConvs>([&](auto S) { convolve<S>(count, s); });
  constexpr int maps = kMaps[kConvs], last = area(kConvs);
  for (int i = 0; i < count; ++i)
    transpose<false>(s.stages + stage_start(kConvs) + i * stage_size(kConvs), last, maps, maps,
                     s.layers + i * padded(units(0)), last);
  each<kDense>([&](auto L) {
    constexpr int in = units(L), out = units(L + 1), width = padded(out);
    real* to = layer<L + 1>(s.layers);
    multiply<Start::kColumnBias>(count, in, {layer<L>(s.layers), padded(in), 1}, s.by_input + by_input_start(L), width,
                                 to, width, width, s.bias + bias_start(kConvs + L));
    if constexpr (L + 1 < kDense)
      for (int i = 0; i < count * width; i += kLanes) store(to + i, relu(load(to + i)));
  });
}

// -------------------------------------------------------------------------------------- Backward

// Cross-entropy of a chunk, a sum, and its gradient by the logits.
double begin_backward(const int64_t* labels, const int64_t* places, long first, int count, Scratch& s) {
  double loss = 0;
  for (int i = 0; i < count; ++i) {
    const real* logits = layer<kDense>(s.layers) + i * padded(kLogits);
    real* to = layer<kDense>(s.layer_gradients) + i * padded(kLogits);
    const int64_t label = labels[places ? places[first + i] : first + i];
    const real largest = *std::max_element(logits, logits + kLogits);
    real sum = 0;
    for (int j = 0; j < kLogits; ++j) sum += to[j] = std::exp(logits[j] - largest);
    loss += std::log(sum) + largest - logits[label];
    for (int j = 0; j < kLogits; ++j) to[j] = to[j] / sum - (j == label);
  }
  return loss;
}

template <int L>
void dense_backward(int count, Scratch& s) {
  constexpr int in = units(L), out = units(L + 1), width = padded(out), from_width = padded(in);
  const real *gradient = layer<L + 1>(s.layer_gradients), *from = layer<L>(s.layers);
  real *to = layer<L>(s.layer_gradients), *sums = s.bias_sums + bias_start(kConvs + L);
  for (int i = 0; i < count; ++i)
    for (int j = 0; j < width; j += kLanes) add(sums + j, load(gradient + i * width + j));
  multiply<Start::kResume>(out, count, {gradient, 1, width}, from, from_width, s.unit_sums + by_unit_start(L),
                           from_width, from_width);
  multiply<Start::kZero>(count, out, {gradient, width, 1}, s.by_unit + by_unit_start(L), from_width, to, from_width,
                         from_width);
  for (int i = 0; i < count * from_width; i += kLanes)
    store(to + i, load(from + i) <= 0 ? vec{} : load(to + i));  // ReLU stands before every dense layer.
}

struct Term {
  int at;      // where its patch starts
  real value;  // what it is multiplied by
};

// The terms of one map of one image that are not zero.
template <int S>
INLINE int terms_of(const real* gradient, const int* chosen, Term* terms) {
  int count = 0;
  for (int i = 0; i < area(S + 1) * kMaps[S + 1]; i += kMaps[S + 1]) {
    terms[count] = {chosen[i], gradient[i]};
    count += gradient[i] != 0;
  }
  return count;
}

// sums[row][tap] += value * patch[row][tap] over terms, for R rows and V vectors of taps.
template <int R, int V>
INLINE void add_patches(const real* from, int line, const Term* terms, int count, real* to, int ld) {
  vec sums[R][V];
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < V; ++v) sums[r][v] = load(to + r * ld + v * kLanes);
  for (int i = 0; i < count; ++i) {
    const vec value = splat(terms[i].value);
    UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < V; ++v)
      sums[r][v] += value * load(from + terms[i].at + r * line + v * kLanes);
  }
  UNROLL for (int r = 0; r < R; ++r) UNROLL for (int v = 0; v < V; ++v) store(to + r * ld + v * kLanes, sums[r][v]);
}

// patch[tap] += value * weight[tap] over terms. Taps beyond the row have a weight of zero.
template <int V>
INLINE void add_weights(const real* weight, const Term* terms, int count, real* to) {
  vec ws[V];
  UNROLL for (int v = 0; v < V; ++v) ws[v] = load(weight + v * kLanes);
  for (int i = 0; i < count; ++i) {
    const vec value = splat(terms[i].value);
    UNROLL for (int v = 0; v < V; ++v) add(to + terms[i].at + v * kLanes, value * ws[v]);
  }
}

template <int S>
void conv_backward(int count, Scratch& s) {
  constexpr int maps = kMaps[S + 1], line = side(S) * kMaps[S], width = padded(taps(S));
  Term terms[area(S + 1) + 1];
  for (int i = 0; i < count; ++i) {
    const real* from = s.stages + stage_start(S) + i * stage_size(S);
    real* to = s.stage_gradients + stage_start(S) + i * stage_size(S);
    if (S > 0) std::fill_n(to, stage_size(S), real(0));
    for (int map = 0; map < maps; ++map) {
      const int at = stage_start(S + 1) + i * stage_size(S + 1) + map;
      const int found = terms_of<S>(s.stage_gradients + at, s.chosen + at, terms);
      real bias = 0;
      for (int t = 0; t < found; ++t) bias += terms[t].value;
      s.bias_sums[bias_start(S) + map] += bias;
      for_chunks<8, 7, 6, 5, 4, 3, 2, 1>(width, [&](int v, auto V) INLINE_LAMBDA {
        // A multiplication waits for the one before it: rows of few vectors are taken together.
        constexpr int vectors = decltype(V)::value, rows = vectors * kKernel <= 10 ? kKernel : 1;
        for (int row = 0; row < kKernel; row += rows) {
          const int weight = by_map_at<S>(map, row, v);
          add_patches<rows, vectors>(from + row * line + v, line, terms, found, s.map_sums + weight, width);
          if (S > 0)
            for (int r = 0; r < rows; ++r)
              add_weights<vectors>(s.by_map + weight + r * width, terms, found, to + (row + r) * line + v);
        }
      });
    }
    if (S == 0) continue;
    for (int j = 0; j < area(S) * kMaps[S]; j += kLanes)
      store(to + j, load(from + j) <= 0 ? vec{} : load(to + j));
  }
}

void backward(int count, Scratch& s) {
  each<kDense>([&](auto i) { dense_backward<kDense - 1 - i>(count, s); });
  constexpr int maps = kMaps[kConvs], last = area(kConvs);
  for (int i = 0; i < count; ++i)
    transpose<false>(layer<0>(s.layer_gradients) + i * padded(units(0)), maps, last, last,
                     s.stage_gradients + stage_start(kConvs) + i * stage_size(kConvs), maps);
  each<kConvs>([&](auto i) { conv_backward<kConvs - 1 - i>(count, s); });
}

// ------------------------------------------------------------------------------------ Population

struct Batches {  // of every member
  const real* const* images;
  const int64_t* const* labels;
  const int64_t* const* places;  // of a batch's images among a member's
  const int64_t* counts;
};

enum Outcome { kDone, kNoMemory, kNoSuchPlace, kNoSuchLabel };

// Whether places and labels are among those there are.
Outcome check(const Batches& batches, int members, const int64_t* sizes) {
  for (int member = 0; member < members; ++member)
    for (long i = 0; i < batches.counts[member]; ++i) {
      const int64_t place = batches.places[member][i];
      if (place < 0 || place >= sizes[member]) return kNoSuchPlace;
      const int64_t label = batches.labels[member][place];
      if (label < 0 || label >= kLogits) return kNoSuchLabel;
    }
  return kDone;
}

struct Rule {  // of gradient descent; `towards` is null without a pull
  double lr, momentum, pull;
  const real* towards;
};

// The mean loss of a member and, in `s.gradient`, its gradient.
double learn(const real* flat, const Batches& batches, int member, Scratch& s) {
  const long count = batches.counts[member];
  const int64_t* places = batches.places[member];
  lay_out(flat, s, true);
  std::fill(std::begin(s.map_sums), std::end(s.map_sums), real(0));
  std::fill(std::begin(s.unit_sums), std::end(s.unit_sums), real(0));
  std::fill(std::begin(s.bias_sums), std::end(s.bias_sums), real(0));
  double loss = 0;
  for (long first = 0; first < count; first += kChunk) {
    const int some = static_cast<int>(std::min<long>(kChunk, count - first));
    read_images(batches.images[member], places, first, some, s);
    forward(some, s);
    loss += begin_backward(batches.labels[member], places, first, some, s);
    backward(some, s);
  }
  take_gradient(s, real(1) / static_cast<real>(count), s.gradient);
  return loss / count;
}

void descend(const Rule& rule, const real* gradient, real* velocity, real* flat) {
  const real lr = static_cast<real>(rule.lr), momentum = static_cast<real>(rule.momentum);
  const real pull = static_cast<real>(2 * rule.pull / kSize);
  for (int i = 0; i < kSize; ++i) {
    const real pulled = rule.towards ? gradient[i] + pull * (flat[i] - rule.towards[i]) : gradient[i];
    velocity[i] = momentum * velocity[i] + pulled;
    flat[i] -= lr * velocity[i];
  }
}

double worth(int members, const int64_t* counts) {
  double images = 0;
  for (int i = 0; i < members; ++i) images += counts[i];
  return images * multiplications();
}

// Calls task(working memory, member) for all of them.
template <typename F>
int for_members(int members, int threads, const int64_t* counts, F&& task) {
  return run_with_scratch<Scratch>(useful_threads(threads, members, worth(members, counts)), members,
                                   [&](Scratch& s, int member) {
                                     task(s, member);
                                     return true;
                                   });
}

}  // namespace

// `weights` has one row a member; a member has `sizes` images, of which `counts` are a batch. All return an `Outcome`.
extern "C" {

int classifier_logits(int members, int threads, const real* weights, const real* const* images, const int64_t* counts,
                      real* const* logits) {
  return for_members(members, threads, counts, [&](Scratch& s, int member) {
    lay_out(weights + long(member) * kSize, s, false);
    for (long first = 0; first < counts[member]; first += kChunk) {
      const int some = static_cast<int>(std::min<long>(kChunk, counts[member] - first));
      read_images(images[member], nullptr, first, some, s);
      forward(some, s);
      for (int i = 0; i < some; ++i)
        std::copy_n(layer<kDense>(s.layers) + i * padded(kLogits), kLogits, logits[member] + (first + i) * kLogits);
    }
  });
}

int classifier_gradients(int members, int threads, const real* weights, const real* const* images,
                         const int64_t* const* labels, const int64_t* const* places, const int64_t* counts,
                         const int64_t* sizes, real* gradients, real* losses) {
  const Batches batches = {images, labels, places, counts};
  if (const Outcome refused = check(batches, members, sizes)) return refused;
  return for_members(members, threads, counts, [&](Scratch& s, int member) {
    losses[member] = static_cast<real>(learn(weights + long(member) * kSize, batches, member, s));
    std::copy_n(s.gradient, kSize, gradients + long(member) * kSize);
  });
}

// A step of gradient descent of every member, in place.
int classifier_descend(int members, int threads, real* weights, real* velocities, const real* const* images,
                       const int64_t* const* labels, const int64_t* const* places, const int64_t* counts,
                       const int64_t* sizes, double lr, double momentum, double pull, const real* towards) {
  const Batches batches = {images, labels, places, counts};
  if (const Outcome refused = check(batches, members, sizes)) return refused;
  const Rule rule = {lr, momentum, pull, towards};
  return for_members(members, threads, counts, [&](Scratch& s, int member) {
    real* flat = weights + long(member) * kSize;
    learn(flat, batches, member, s);
    descend(rule, s.gradient, velocities + long(member) * kSize, flat);
  });
}

}  // extern "C"
