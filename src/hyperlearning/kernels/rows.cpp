// Images laid out as rows of channels: what stands around the matrix products of their convolutions.
//
// Vectors lie along channels. A thread takes one image at a time and sums are made in the order of positions, so that results
// do not depend on the number of threads.

#include <cmath>
#include <cstdint>

#include "simd.h"
#include "workers.h"

namespace {

constexpr int kTaps = 9;     // of a kernel, for each channel of the images
constexpr int kWindow = 4;   // positions that are pooled

typedef uint8_t bytes __attribute__((vector_size(kLanes)));

// Calls body(channel, count) for vectors of channels, of which the last may be incomplete.
template <typename F>
INLINE void over(long channels, F&& body) {
  long c = 0;
  for (; c + kLanes <= channels; c += kLanes) body(c, kLanes);
  if (c < channels) body(c, static_cast<int>(channels - c));
}

// ---------------------------------------------------------------------------------------- Tiles

// One side of a transformation: strides from image to image, tile to tile and position to position, how many rows and
// columns there are, and how many of them a tile moves on.
struct Tiled {
  long image, tile_row, tile_column, row, column, rows, columns, step;
};

struct Tiles {
  long images, rows, columns, channels;
  Tiled in, out;
};

INLINE int within(long extent, long tile, const Tiled& side, long size) {
  return static_cast<int>(std::max(0L, std::min(extent, size - tile * side.step)));
}

template <int N>
INLINE vec combine(const real* factors, const vec (&values)[N]) {
  vec sum = factors[0] * values[0];
  UNROLL for (int i = 1; i < N; ++i) sum += factors[i] * values[i];
  return sum;
}

// `out = M in M'` for every tile and channel; positions beyond the sizes are zeros, and are not written.
// Where tiles overlap (ADD) the sum of all is written.
template <int IN, int OUT, bool ADD>
void transform(const Tiles& t, const real* matrix, const real* in, real* out, long image) {
  if (ADD) std::fill_n(out + image * t.out.image, t.out.rows * t.out.columns * t.channels, real(0));
  for (long row = 0; row < t.rows; ++row)
    for (long column = 0; column < t.columns; ++column) {
      const real* from = in + image * t.in.image + row * t.in.tile_row + column * t.in.tile_column;
      real* to = out + image * t.out.image + row * t.out.tile_row + column * t.out.tile_column;
      const int in_rows = within(IN, row, t.in, t.in.rows), in_columns = within(IN, column, t.in, t.in.columns);
      const int out_rows = within(OUT, row, t.out, t.out.rows), out_columns = within(OUT, column, t.out, t.out.columns);
      over(t.channels, [&](long c, int count) INLINE_LAMBDA {
        vec half[OUT][IN];
        UNROLL for (int j = 0; j < IN; ++j) {
          vec value[IN];
          UNROLL for (int i = 0; i < IN; ++i) {
            const bool there = i < in_rows && j < in_columns;
            value[i] = there ? load_some(from + i * t.in.row + j * t.in.column + c, count) : vec{};
          }
          UNROLL for (int r = 0; r < OUT; ++r) half[r][j] = combine(matrix + r * IN, value);
        }
        for (int r = 0; r < out_rows; ++r)
          UNROLL for (int s = 0; s < OUT; ++s) {
            if (s >= out_columns) break;
            vec sum = combine(matrix + s * IN, half[r]);
            real* place = to + r * t.out.row + s * t.out.column + c;
            if (ADD) sum += load_some(place, count);
            store_some(place, sum, count);
          }
      });
    }
}

using Transform = void (*)(const Tiles&, const real*, const real*, real*, long);

template <bool ADD>
Transform transform_of(int in, int out) {
  if (in == 5 && out == 5) return transform<5, 5, ADD>;
  if (in == 6 && out == 6) return transform<6, 6, ADD>;
  if (in == 3 && out == 5) return transform<3, 5, ADD>;
  if (in == 4 && out == 6) return transform<4, 6, ADD>;
  if (in == 5 && out == 3) return transform<5, 3, ADD>;
  if (in == 6 && out == 4) return transform<6, 4, ADD>;
  return nullptr;
}

// ---------------------------------------------------------------------------------------- First block

struct Block {
  long images, rows, columns, patch, maps;  // rows and columns before pooling

  long pooled() const { return (rows / 2) * (columns / 2); }

  // Calls f(first patch, first weight, first pooled number) for every image.
  template <typename F>
  void over_images(int threads, F&& f) const {
    Pool::run(threads, static_cast<int>(images), [&](int i) {
      f(i * rows * columns * patch, i * patch * maps, i * pooled() * maps);
    });
  }

  // Calls body(window, its four patches in reading order) for every window of an image.
  template <typename F>
  INLINE void windows(F&& body) const {
    for (long row = 0, at = 0; row < rows / 2; ++row)
      for (long column = 0; column < columns / 2; ++column, ++at) {
        const long first = 2 * row * columns + 2 * column;
        const long patches[kWindow] = {first * patch, (first + 1) * patch, (first + columns) * patch,
                                       (first + columns + 1) * patch};
        body(at, patches);
      }
  }
};

// Calls body(place among pooled numbers, count, sums) with the products of each window's four patches and weights (P, O).
template <typename F>
INLINE void products(const Block& b, const real* patches, const real* weights, F&& body) {
  over(b.maps, [&](long o, int count) INLINE_LAMBDA {
    b.windows([&](long at, const long (&window)[kWindow]) INLINE_LAMBDA {
      vec sums[kWindow] = {};
      for (long p = 0; p < b.patch; p += kTaps)
        UNROLL for (int tap = 0; tap < kTaps; ++tap) {
          const vec weight = load_some(weights + (p + tap) * b.maps + o, count);
          UNROLL for (int q = 0; q < kWindow; ++q) sums[q] += patches[window[q] + p + tap] * weight;
        }
      body(at * b.maps + o, count, sums);
    });
  });
}

INLINE mask numbers_of(const uint8_t* which, int count) {
  return __builtin_convertvector(load_some<bytes>(which, count), mask);
}

// A function of its own: inlined elsewhere its products and sums would be contracted, and so rounded, otherwise.
void standardize_image(long positions, long channels, real eps, const real* in, real* standard, real* inverse) {
  over(channels, [&](long c, int count) INLINE_LAMBDA {
    const real share = real(1) / positions;
    vec mean{}, variance{};
    for (long n = 0; n < positions; ++n) mean += load_some(in + n * channels + c, count);
    mean *= share;
    for (long n = 0; n < positions; ++n) {
      const vec centred = load_some(in + n * channels + c, count) - mean;
      variance += centred * centred;
    }
    vec scale = variance * share + eps;
    for (int lane = 0; lane < kLanes; ++lane) scale[lane] = real(1) / std::sqrt(scale[lane]);
    store_some(inverse + c, scale, count);
    for (long n = 0; n < positions; ++n) {
      const long at = n * channels + c;
      store_some(standard + at, (load_some(in + at, count) - mean) * scale, count);
    }
  });
}

}  // namespace

extern "C" {

// Returns whether there is a transformation of these sizes.
int row_transform(int threads, int in, int out, int add, const Tiles* tiles, const real* matrix, const real* from, real* to) {
  const Transform one = add ? transform_of<true>(in, out) : transform_of<false>(in, out);
  if (!one) return 0;
  Pool::run(threads, static_cast<int>(tiles->images), [&](int image) { one(*tiles, matrix, from, to, image); });
  return 1;
}

// What the patches of every position of 3 x 3 add up to at each of (rows + 2) x (columns + 2) pixels.
void row_add_patches(int threads, int images, long rows, long columns, long channels, const real* patches, real* out) {
  Pool::run(threads, images, [&](int image) {
    const real* own = patches + image * rows * columns * kTaps * channels;
    real* to = out + image * (rows + 2) * (columns + 2) * channels;
    for (long h = 0; h < rows + 2; ++h)
      for (long w = 0; w < columns + 2; ++w, to += channels) {
        const real* from[kTaps];
        int count = 0;
        for (long i = 0; i < 3; ++i)
          for (long j = 0; j < 3; ++j) {
            const long row = h - i, column = w - j;
            if (row < 0 || row >= rows || column < 0 || column >= columns) continue;
            from[count++] = own + ((row * columns + column) * kTaps + 3 * i + j) * channels;
          }
        over(channels, [&](long c, int lanes) INLINE_LAMBDA {
          vec sum{};
          for (int k = 0; k < count; ++k) sum += load_some(from[k] + c, lanes);
          store_some(to + c, sum, lanes);
        });
      }
  });
}

void row_largest(int threads, const Block* b, const real* patches, const real* weights, real* largest, uint8_t* which) {
  b->over_images(threads, [&](long patch, long weight, long pooled) {
    products(*b, patches + patch, weights + weight, [&](long at, int count, const vec (&sums)[kWindow]) INLINE_LAMBDA {
      vec best = sums[0];
      mask number{};
      UNROLL for (int q = 1; q < kWindow; ++q) {
        // What is not a number wins, so that it is not hidden.
        const mask more = (sums[q] > best) | (sums[q] != sums[q]);
        best = more ? sums[q] : best;
        number = (number & ~more) | (q & more);
      }
      store_some(largest + pooled + at, best, count);
      store_some(which + pooled + at, __builtin_convertvector(number, bytes), count);
    });
  });
}

void row_picked(int threads, const Block* b, const real* patches, const real* weights, const uint8_t* which, real* picked) {
  b->over_images(threads, [&](long patch, long weight, long pooled) {
    products(*b, patches + patch, weights + weight, [&](long at, int count, const vec (&sums)[kWindow]) INLINE_LAMBDA {
      const mask number = numbers_of(which + pooled + at, count);
      vec value = sums[0];
      UNROLL for (int q = 1; q < kWindow; ++q) value = number == q ? sums[q] : value;
      store_some(picked + pooled + at, value, count);
    });
  });
}

void row_largest_gradient(int threads, const Block* block, const real* patches, const real* grad, const uint8_t* which,
                          real* out) {
  const Block& b = *block;
  b.over_images(threads, [&](long patch, long weight, long pooled) {
    over(b.maps, [&](long o, int count) INLINE_LAMBDA {
      for (long p = 0; p < b.patch; p += kTaps) {
        vec sums[kTaps] = {};
        b.windows([&](long at, const long (&window)[kWindow]) INLINE_LAMBDA {
          const mask number = numbers_of(which + pooled + at * b.maps + o, count);
          const vec whole = load_some(grad + pooled + at * b.maps + o, count);
          UNROLL for (int q = 0; q < kWindow; ++q) {
            const vec own = number == q ? whole : vec{};
            UNROLL for (int tap = 0; tap < kTaps; ++tap) sums[tap] += patches[patch + window[q] + p + tap] * own;
          }
        });
        for (int tap = 0; tap < kTaps; ++tap) store_some(out + weight + (p + tap) * b.maps + o, sums[tap], count);
      }
    });
  });
}

void row_standardize(int threads, int images, long positions, long channels, double eps, const real* in, real* standard,
                     real* inverse) {
  Pool::run(threads, images, [&](int i) {
    const long at = i * positions * channels;
    standardize_image(positions, channels, static_cast<real>(eps), in + at, standard + at, inverse + i * channels);
  });
}

void row_unstandardize(int threads, int images, long positions, long channels, const real* grad, const real* grad_inverse,
                       const real* standard, const real* inverse, real* out) {
  Pool::run(threads, images, [&](int image) {
    const long first = image * positions * channels;
    over(channels, [&](long c, int count) INLINE_LAMBDA {
      const real share = real(1) / positions;
      const vec scale = load_some(inverse + image * channels + c, count);
      vec mean{}, along = scale * load_some(grad_inverse + image * channels + c, count);
      for (long n = 0; n < positions; ++n) {
        const long at = first + n * channels + c;
        const vec own = load_some(grad + at, count);
        mean += own;
        along += own * load_some(standard + at, count);
      }
      mean *= share, along *= share;
      for (long n = 0; n < positions; ++n) {
        const long at = first + n * channels + c;
        const vec own = load_some(grad + at, count) - mean - along * load_some(standard + at, count);
        store_some(out + at, scale * own, count);
      }
    });
  });
}

}  // extern "C"
