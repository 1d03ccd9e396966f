// Images laid out as rows of channels: what stands around the matrix products of their convolutions.
//
// Vectors lie along channels. A thread takes one image at a time and sums are made in the order of positions, so that results
// do not depend on the number of threads.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "workers.h"

#define INLINE inline __attribute__((always_inline))
#define UNROLL _Pragma("GCC unroll 16")

namespace {

using real = ROW_REAL;
constexpr int kLanes = 32 / sizeof(real);
constexpr int kTaps = 9;     // of a kernel, for each channel of the images
constexpr int kWindow = 4;   // positions that are pooled

typedef real vec __attribute__((vector_size(32)));
typedef decltype(vec{} < vec{}) mask;
typedef uint8_t bytes __attribute__((vector_size(kLanes)));

// The last vector of a row may be incomplete: `count` numbers of it are there.
template <typename V>
INLINE V load(const void* from, int count) {
  V value{};
  if (count == kLanes) std::memcpy(&value, from, sizeof(V));
  else std::memcpy(&value, from, count * (sizeof(V) / kLanes));
  return value;
}

template <typename V>
INLINE void store(void* to, const V& value, int count) {
  if (count == kLanes) std::memcpy(to, &value, sizeof(V));
  else std::memcpy(to, &value, count * (sizeof(V) / kLanes));
}

INLINE vec broadcast(real value) { return value - vec{}; }

INLINE vec where(mask condition, vec value) { return (vec)((mask)value & condition); }

template <typename F>
INLINE void over(long channels, F&& body) {
  long c = 0;
  for (; c + kLanes <= channels; c += kLanes) body(c, kLanes);
  if (c < channels) body(c, static_cast<int>(channels - c));
}

// ---------------------------------------------------------------------------------------- Tiles

// One side of a transformation: strides from image to image, tile to tile and position to position, and
// how many rows and columns there are to tiles' positions from `first_row`, `first_column` on.
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
      over(t.channels, [&](long c, int count) __attribute__((always_inline)) {
        vec half[OUT][IN];
        UNROLL for (int j = 0; j < IN; ++j) {
          vec value[IN];
          UNROLL for (int i = 0; i < IN; ++i) {
            const bool there = i < in_rows && j < in_columns;
            value[i] = there ? load<vec>(from + i * t.in.row + j * t.in.column + c, count) : vec{};
          }
          UNROLL for (int r = 0; r < OUT; ++r) {
            vec sum = matrix[r * IN] * value[0];
            UNROLL for (int i = 1; i < IN; ++i) sum += matrix[r * IN + i] * value[i];
            half[r][j] = sum;
          }
        }
        for (int r = 0; r < out_rows; ++r)
          UNROLL for (int s = 0; s < OUT; ++s) {
            if (s >= out_columns) break;
            vec sum = matrix[s * IN] * half[r][0];
            UNROLL for (int j = 1; j < IN; ++j) sum += matrix[s * IN + j] * half[r][j];
            real* place = to + r * t.out.row + s * t.out.column + c;
            if (ADD) sum += load<vec>(place, count);
            store(place, sum, count);
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

// ---------------------------------------------------------------------------------------- Patches

// What the patches of every position of 3 x 3 add up to at each of (rows + 2) x (columns + 2) pixels.
void add_patches(long rows, long columns, long channels, const real* patches, real* out) {
  for (long h = 0; h < rows + 2; ++h)
    for (long w = 0; w < columns + 2; ++w) {
      const real* from[kTaps];
      int count = 0;
      for (long i = 0; i < 3; ++i)
        for (long j = 0; j < 3; ++j) {
          const long row = h - i, column = w - j;
          if (row < 0 || row >= rows || column < 0 || column >= columns) continue;
          from[count++] = patches + ((row * columns + column) * kTaps + 3 * i + j) * channels;
        }
      real* to = out + (h * (columns + 2) + w) * channels;
      over(channels, [&](long c, int lanes) __attribute__((always_inline)) {
        vec sum{};
        for (int k = 0; k < count; ++k) sum += load<vec>(from[k] + c, lanes);
        store(to + c, sum, lanes);
      });
    }
}

// ---------------------------------------------------------------------------------------- First block

struct Block {
  long images, rows, columns, patch, maps;  // rows and columns before pooling

  long pooled_rows() const { return rows / 2; }
  long pooled_columns() const { return columns / 2; }
  long pooled() const { return pooled_rows() * pooled_columns(); }

  // The four patches of a window of an image, in reading order.
  template <typename F>
  INLINE void windows(F&& body) const {
    for (long row = 0, at = 0; row < pooled_rows(); ++row)
      for (long column = 0; column < pooled_columns(); ++column, ++at) {
        const long first = 2 * row * columns + 2 * column;
        const long patches[kWindow] = {first * patch, (first + 1) * patch, (first + columns) * patch,
                                       (first + columns + 1) * patch};
        body(at, patches);
      }
  }
};

// Products of four patches with `count` columns of weights (P, O).
INLINE void products(const Block& b, const real* patches, const long (&at)[kWindow], const real* weights, int count,
                     vec (&sums)[kWindow]) {
  UNROLL for (int q = 0; q < kWindow; ++q) sums[q] = vec{};
  for (long p = 0; p < b.patch; p += kTaps)
    UNROLL for (int tap = 0; tap < kTaps; ++tap) {
      const vec weight = load<vec>(weights + (p + tap) * b.maps, count);
      UNROLL for (int q = 0; q < kWindow; ++q) sums[q] += patches[at[q] + p + tap] * weight;
    }
}

void largest_of(const Block& b, const real* patches, const real* weights, real* largest, uint8_t* which) {
  over(b.maps, [&](long o, int count) __attribute__((always_inline)) {
    b.windows([&](long at, const long (&window)[kWindow]) __attribute__((always_inline)) {
      vec sums[kWindow];
      products(b, patches, window, weights + o, count, sums);
      vec best = sums[0];
      mask number{};
      UNROLL for (int q = 1; q < kWindow; ++q) {
        // What is not a number wins, so that it is not hidden.
        const mask more = (sums[q] > best) | (sums[q] != sums[q]);
        best = (vec)(((mask)sums[q] & more) | ((mask)best & ~more));
        number = (number & ~more) | (q & more);
      }
      store(largest + at * b.maps + o, best, count);
      store(which + at * b.maps + o, __builtin_convertvector(number, bytes), count);
    });
  });
}

INLINE mask numbers_of(const uint8_t* which, int count) {
  return __builtin_convertvector(load<bytes>(which, count), mask);
}

void picked_of(const Block& b, const real* patches, const real* weights, const uint8_t* which, real* picked) {
  over(b.maps, [&](long o, int count) __attribute__((always_inline)) {
    b.windows([&](long at, const long (&window)[kWindow]) __attribute__((always_inline)) {
      vec sums[kWindow];
      products(b, patches, window, weights + o, count, sums);
      const mask number = numbers_of(which + at * b.maps + o, count);
      vec value = where(number == 0, sums[0]);
      UNROLL for (int q = 1; q < kWindow; ++q) value = (vec)((mask)value | (mask)where(number == q, sums[q]));
      store(picked + at * b.maps + o, value, count);
    });
  });
}

void gradient_of(const Block& b, const real* patches, const real* grad, const uint8_t* which, real* out) {
  over(b.maps, [&](long o, int count) __attribute__((always_inline)) {
    for (long p = 0; p < b.patch; p += kTaps) {
      vec sums[kTaps] = {};
      b.windows([&](long at, const long (&window)[kWindow]) __attribute__((always_inline)) {
        const mask number = numbers_of(which + at * b.maps + o, count);
        const vec whole = load<vec>(grad + at * b.maps + o, count);
        UNROLL for (int q = 0; q < kWindow; ++q) {
          const vec own = where(number == q, whole);
          UNROLL for (int tap = 0; tap < kTaps; ++tap) sums[tap] += patches[window[q] + p + tap] * own;
        }
      });
      for (int tap = 0; tap < kTaps; ++tap) store(out + (p + tap) * b.maps + o, sums[tap], count);
    }
  });
}

// ---------------------------------------------------------------------------------------- Normalization

void standardize_image(long positions, long channels, real eps, const real* in, real* standard, real* inverse) {
  over(channels, [&](long c, int count) __attribute__((always_inline)) {
    const real share = real(1) / positions;
    vec mean{}, variance{};
    for (long n = 0; n < positions; ++n) mean += load<vec>(in + n * channels + c, count);
    mean *= share;
    for (long n = 0; n < positions; ++n) {
      const vec centred = load<vec>(in + n * channels + c, count) - mean;
      variance += centred * centred;
    }
    vec scale = variance * share + eps;
    for (int lane = 0; lane < kLanes; ++lane) scale[lane] = real(1) / std::sqrt(scale[lane]);
    store(inverse + c, scale, count);
    for (long n = 0; n < positions; ++n) {
      const long at = n * channels + c;
      store(standard + at, (load<vec>(in + at, count) - mean) * scale, count);
    }
  });
}

void unstandardize_image(long positions, long channels, const real* grad, const real* grad_inverse, const real* standard,
                         const real* inverse, real* out) {
  over(channels, [&](long c, int count) __attribute__((always_inline)) {
    const real share = real(1) / positions;
    const vec scale = load<vec>(inverse + c, count);
    vec mean{}, along = scale * load<vec>(grad_inverse + c, count);
    for (long n = 0; n < positions; ++n) {
      const long at = n * channels + c;
      const vec own = load<vec>(grad + at, count);
      mean += own;
      along += own * load<vec>(standard + at, count);
    }
    mean *= share, along *= share;
    for (long n = 0; n < positions; ++n) {
      const long at = n * channels + c;
      const vec own = load<vec>(grad + at, count) - mean - along * load<vec>(standard + at, count);
      store(out + at, scale * own, count);
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

void row_add_patches(int threads, int images, long rows, long columns, long channels, const real* patches, real* out) {
  Pool::run(threads, images, [&](int i) {
    const long from = i * rows * columns * kTaps * channels, to = i * (rows + 2) * (columns + 2) * channels;
    add_patches(rows, columns, channels, patches + from, out + to);
  });
}

void row_largest(int threads, const Block* b, const real* patches, const real* weights, real* largest, uint8_t* which) {
  const long positions = b->rows * b->columns * b->patch, pooled = b->pooled() * b->maps;
  Pool::run(threads, static_cast<int>(b->images), [&](int i) {
    largest_of(*b, patches + i * positions, weights + i * b->patch * b->maps, largest + i * pooled, which + i * pooled);
  });
}

void row_picked(int threads, const Block* b, const real* patches, const real* weights, const uint8_t* which, real* picked) {
  const long positions = b->rows * b->columns * b->patch, pooled = b->pooled() * b->maps;
  Pool::run(threads, static_cast<int>(b->images), [&](int i) {
    picked_of(*b, patches + i * positions, weights + i * b->patch * b->maps, which + i * pooled, picked + i * pooled);
  });
}

void row_largest_gradient(int threads, const Block* b, const real* patches, const real* grad, const uint8_t* which,
                          real* out) {
  const long positions = b->rows * b->columns * b->patch, pooled = b->pooled() * b->maps;
  Pool::run(threads, static_cast<int>(b->images), [&](int i) {
    gradient_of(*b, patches + i * positions, grad + i * pooled, which + i * pooled, out + i * b->patch * b->maps);
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
  Pool::run(threads, images, [&](int i) {
    const long at = i * positions * channels, small = i * channels;
    unstandardize_image(positions, channels, grad + at, grad_inverse + small, standard + at, inverse + small, out + at);
  });
}

}  // extern "C"
