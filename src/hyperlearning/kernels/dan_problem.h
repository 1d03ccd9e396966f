// What a call of the population's kernel is given.

#pragma once

#include "phenotype.h"

namespace {

struct Problem {
  int members, batch;
  const real* const* weights;     // per map, (members, sources, nodes * channels)
  const real* const* biases;      // per map, (members, nodes * channels)
  const real* const* phenotype;   // W1, b1, W2, b2, ...
  const real* x;                  // (members, batch, inputs)
  real* y;                        // (members, batch, outputs); null on the way back
  real* tape;                     // (members, tape size) or null
  const real* y_gradient = nullptr;
  real* const* weight_gradients = nullptr;  // like weights; null if not wanted
  real* const* bias_gradients = nullptr;
  real* partial_gradients = nullptr;        // (members, phenotype size); null if not wanted
};

constexpr long map_size(int map) { return long(kSizes[kFrom[map]]) * map_columns(map); }

// Pairs of nodes that synapses lead from and to.
constexpr long edges() {
  return total(0, kMaps, [](int i) { return long(kSizes[kFrom[i]]) * kSizes[kTo[i]]; });
}

INLINE const real* weight_of(const Problem& p, int map, int member) { return p.weights[map] + member * map_size(map); }

// Sum of the biases of all maps into a layer.
INLINE void sum_biases(const Problem& p, int layer, int member, real* sum) {
  const int size = kSizes[layer] * kChannels;
  std::fill_n(sum, size, real(0));
  for_maps_into(layer, [&](int map) {
    const real* bias = p.biases[map] + long(member) * size;
    for (int i = 0; i < size; ++i) sum[i] += bias[i];
  });
}

// Infinite inputs become NaN: saturating units would otherwise hide them.
INLINE real checked(real value) { return value + (value - value); }

}  // namespace
