// Sizes of a network of Deep Artificial Neurons, and its phenotype as kernels read it.
//
// Every layer b receives a drive, the sum over its maps (a, b) of out_a @ W_ab + bias_ab. The drive
// of each node has `channels` entries and passes through one small perceptron (the phenotype) that
// all nodes of all layers and all members share. "Stage" k of a layer is the value after k layers of
// the phenotype: stage 0 is the drive, stage kStages the output.

#pragma once

#include "simd.h"

namespace {

constexpr int kSizes[] = {DAN_SIZES};    // nodes per layer, the input layer first
constexpr int kFrom[] = {DAN_FROM};      // source and target layer of every map
constexpr int kTo[] = {DAN_TO};
constexpr int kWidths[] = {DAN_WIDTHS};  // channels, hidden sizes, 1
constexpr bool kOutputTanh = DAN_OUTPUT_TANH;
constexpr real kOutputScale = static_cast<real>(DAN_OUTPUT_SCALE);

constexpr int kLayers = sizeof(kSizes) / sizeof(int) - 1;
constexpr int kMaps = sizeof(kFrom) / sizeof(int);
constexpr int kStages = sizeof(kWidths) / sizeof(int) - 1;
constexpr int kChannels = kWidths[0];
constexpr int kInputs = kSizes[0];
constexpr int kOutputs = kSizes[kLayers];
constexpr int kMostNodes = most(0, kLayers + 1, [](int i) { return kSizes[i]; });
constexpr int kMostWidth = most(0, kStages + 1, [](int k) { return kWidths[k]; });

// First node of a layer when the nodes of all layers, inputs included, are counted in one go.
constexpr int first_node(int layer) {
  return total(0, layer, [](int i) { return kSizes[i]; });
}
constexpr int kAllNodes = first_node(kLayers + 1);
constexpr int kNodes = kAllNodes - kInputs;

constexpr int map_columns(int map) { return kSizes[kTo[map]] * kChannels; }

template <typename F>
INLINE void for_maps_into(int layer, F&& f) {
  for (int map = 0; map < kMaps; ++map)
    if (kTo[map] == layer) f(map);
}

// Where weight and bias of phenotype layer k (from stage k - 1 to k) start in the flat gradient.
constexpr int weight_start(int k) {
  return total(1, k, [](int i) { return (kWidths[i - 1] + 1) * kWidths[i]; });
}
constexpr int bias_start(int k) { return weight_start(k) + kWidths[k - 1] * kWidths[k]; }
constexpr int kPhenotypeSize = weight_start(kStages + 1);

// The same for copies whose rows are padded to whole vectors.
constexpr int padded_start(int k) {
  return total(1, k, [](int i) { return (kWidths[i - 1] + 1) * padded(kWidths[i]); });
}
constexpr int padded_bias(int k) { return padded_start(k) + kWidths[k - 1] * padded(kWidths[k]); }
constexpr int transposed_start(int k) {
  return total(1, k, [](int i) { return kWidths[i] * padded(kWidths[i - 1]); });
}
constexpr int kPaddedSize = padded_start(kStages + 1);

// Copies of the phenotype in the layouts that vectors along its units need.
struct Phenotype {
  alignas(64) real straight[kPaddedSize] = {};                    // (in, padded out) then bias, per layer
  alignas(64) real transposed[transposed_start(kStages + 1)] = {};  // (out, padded in), per layer

  explicit Phenotype(const real* const* parameters) {
    for (int k = 1; k <= kStages; ++k) {
      const int in = kWidths[k - 1], out = kWidths[k];
      for (int i = 0; i < in; ++i)
        for (int j = 0; j < out; ++j) {
          const real value = parameters[2 * k - 2][i * out + j];
          straight[padded_start(k) + i * padded(out) + j] = value;
          transposed[transposed_start(k) + j * padded(in) + i] = value;
        }
      std::copy_n(parameters[2 * k - 1], out, straight + padded_bias(k));
    }
  }
};

// A flat gradient from one with padded rows, times a factor.
inline void write_flat(const real* gradient, real factor, real* to) {
  for (int k = 1; k <= kStages; ++k)
    for (int r = 0; r <= kWidths[k - 1]; ++r)
      for (int j = 0; j < kWidths[k]; ++j) *to++ = factor * gradient[padded_start(k) + r * padded(kWidths[k]) + j];
}

}  // namespace
