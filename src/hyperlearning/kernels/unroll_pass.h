// Forward and reverse pass of one sample and member, for `unroll.cpp`; with tangents if T.
//
// Vectors run along channels or units, which are padded to whole vectors; rows are nodes. With
// tangents, a layer has twice the rows: values first and tangents last on the way forward, but
// tangents first on the way back. Multiplying one by the other, row by row, then gives both terms of
// the product rule.

#pragma once

#include "matrices.h"
#include "phenotype.h"
#include "tanh.h"

namespace {

constexpr int kPaddedChannels = padded(kChannels);
constexpr int kCopied = kChannels != kPaddedChannels;  // whether rows per node must be padded first

// First node of a layer when the nodes of all layers but the input layer are counted in one go.
constexpr int first_own(int layer) { return first_node(layer) - kInputs; }

// Outputs of a layer start at a whole vector.
constexpr int first_output(int layer) {
  return total(0, layer, [](int i) { return padded(kSizes[i]); });
}
constexpr int kAllOutputs = first_output(kLayers + 1);

// Row length of a layer's synapses: one number per node and channel, then padding.
constexpr int columns(int layer) { return padded(kSizes[layer] * kChannels); }
constexpr int first_column(int layer) { return total(1, layer, columns); }
constexpr int kColumns = first_column(kLayers + 1);

// A state holds, per map, one row per source node and the bias as a last row.
constexpr int state_start(int map) {
  return total(0, map, [](int i) { return (kSizes[kFrom[i]] + 1) * columns(kTo[i]); });
}
constexpr int kStateSize = state_start(kMaps);

// Where the rows of stage k start: values and tangents of all nodes.
constexpr int stage_start(int k) {
  return total(0, k, [](int i) { return 2 * kNodes * padded(kWidths[i]); });
}
constexpr int kStageSize = stage_start(kStages + 1);

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
  real drive[2 * kMostNodes * kPaddedChannels + 2 * kLanes];
  real gradient[kPaddedSize];
  real state[kStateSize];
  real lambda[kStateSize];
};

template <bool T>
struct Pass {
  const Phenotype& phenotype;
  Scratch& s;
  Sample& sample;
  const real* state;
  const real* lambda;  // the state's tangent

  static constexpr int kCopies = T ? 2 : 1;

  template <int K>
  static constexpr int start(int layer) { return stage_start(K) + 2 * first_own(layer) * padded(kWidths[K]); }
  template <int K>
  real* stage(int layer) const { return s.stages + start<K>(layer); }
  template <int K>
  real* stage_delta(int layer) const { return s.deltas + start<K>(layer); }
  real* delta(int layer) const { return sample.delta + 2 * first_column(layer); }

  void forward(const real* x) const {
    std::copy_n(x, kInputs, sample.out[0]);
    for (int layer = 1; layer <= kLayers; ++layer) {
      drive(layer);
      each<kStages>([&](auto k) { forward_stage<k + 1>(layer); });
    }
  }

  // From the gradient of a layer's outputs to the one of its drive.
  void backward_layer(int layer) const {
    output_delta(layer);
    each<kStages - 1>([&](auto i) { backward_stage<kStages - 1 - i>(layer); });
    if (kCopied)
      each_node(layer, [&](int row, int column) {
        std::copy_n(s.drive + row * kPaddedChannels, kChannels, delta(layer) + column);
      });
  }

  // ---- synapses

  void drive(int layer) const {
    const int size = columns(layer);
    real* to = kCopied ? s.drive : stage<0>(layer);
    for_chunks<T ? 4 : 8, 2, 1>(size, [&](int j, auto v) INLINE_LAMBDA { drive_chunk<v>(layer, j, to); });
    if (kCopied)
      each_node(layer, [&](int row, int column) {
        std::copy_n(s.drive + column, kChannels, stage<0>(layer) + row * kPaddedChannels);
      });
  }

  template <int V>
  INLINE void drive_chunk(int layer, int column, real* to) const {
    const int size = columns(layer);
    vec value[V] = {}, through[V] = {}, direct[V] = {};
    for_maps_into(layer, [&](int map) INLINE_LAMBDA {
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
    });
    UNROLL for (int v = 0; v < V; ++v) {
      store(to + column + v * kLanes, value[v]);
      if constexpr (T) store(to + size + column + v * kLanes, through[v] + direct[v]);
    }
  }

  // Calls f(row, column) for where a node's channels lie, in padded rows per node and in rows of all nodes.
  template <typename F>
  INLINE void each_node(int layer, F&& f) const {
    for (int copy = 0; copy < kCopies; ++copy)
      for (int n = 0; n < kSizes[layer]; ++n) f(copy * kSizes[layer] + n, copy * columns(layer) + n * kChannels);
  }

  // ---- phenotype, forward

  template <int K>
  void forward_stage(int layer) const {
    constexpr int in = padded(kWidths[K - 1]), width = padded(kWidths[K]);
    multiply<Start::kZero>(kCopies * kSizes[layer], kWidths[K - 1], {stage<K - 1>(layer), in, 1},
                           phenotype.straight + padded_start(K), width, stage<K>(layer), width, width);
    if constexpr (K < kStages) activate<K>(layer); else output(layer);
  }

  template <int K>
  INLINE void activate(int layer) const {
    constexpr int width = padded(kWidths[K]);
    const real* bias = phenotype.straight + padded_bias(K);
    real* value = stage<K>(layer);
    real* tangent = value + kSizes[layer] * width;
    for (int n = 0; n < kSizes[layer]; ++n)
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

  // ---- phenotype, backward

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

  INLINE void output_delta(int layer) const {
    constexpr int K = kStages - 1, width = padded(kWidths[K]);
    const int nodes = kSizes[layer], at = first_output(layer);
    real* last = s.last_deltas + 2 * first_own(layer);
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
      for (int i = 0; i < width; i += kLanes) store(to + n * width + i, splat(last[n]) * load(weight + i));
    through_stage<K>(layer);
  }

  // From the gradient of stage K before its tanh to the one of stage K - 1 before its tanh.
  template <int K>
  void backward_stage(int layer) const {
    constexpr int in = padded(kWidths[K - 1]), width = padded(kWidths[K]);
    real* to = K > 1 ? stage_delta<K - 1>(layer) : kCopied ? s.drive : delta(layer);
    multiply<Start::kZero>(kCopies * kSizes[layer], kWidths[K], {stage_delta<K>(layer), width, 1},
                           phenotype.transposed + transposed_start(K), in, to, in, in);
    if constexpr (K > 1) through_stage<K - 1>(layer);
  }

  // Through the tanh of stage K.
  template <int K>
  INLINE void through_stage(int layer) const {
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

  // ---- the phenotype's own gradient

  // Adds its tangent, of all layers at once.
  void add_phenotype_gradient() const {
    each<kStages - 1>([&](auto i) { add_stage_gradient<i + 1>(); });
    constexpr int in = kWidths[kStages - 1], width = padded(in);
    const real* from = s.stages + stage_start(kStages - 1);
    real* to = s.gradient + padded_start(kStages);
    vec sums[width / kLanes] = {};
    for (int r = 0; r < 2 * kNodes; ++r)
      for (int v = 0; v < width / kLanes; ++v) sums[v] += splat(s.last_deltas[r]) * load(from + r * width + v * kLanes);
    // Rows of the last layer are one vector wide and only their first lane is read.
    for (int i = 0; i < in; ++i) to[i * kLanes] += sums[i / kLanes][i % kLanes];
    for_tangents([&](int r) { to[in * kLanes] += s.last_deltas[r]; });
  }

  template <int K>
  void add_stage_gradient() const {
    constexpr int in = padded(kWidths[K - 1]), width = padded(kWidths[K]);
    const real* delta = s.deltas + stage_start(K);
    multiply<Start::kAdd>(kWidths[K - 1], 2 * kNodes, {s.stages + stage_start(K - 1), 1, in}, delta, width,
                          s.gradient + padded_start(K), width, width);
    vec sums[width / kLanes] = {};
    for_tangents([&](int r) {
      for (int v = 0; v < width / kLanes; ++v) sums[v] += load(delta + r * width + v * kLanes);
    });
    for (int v = 0; v < width / kLanes; ++v) add(s.gradient + padded_bias(K) + v * kLanes, sums[v]);
  }

  // Rows that hold tangents on the way back.
  template <typename F>
  static INLINE void for_tangents(F&& f) {
    for (int layer = 1; layer <= kLayers; ++layer)
      for (int n = 0; n < kSizes[layer]; ++n) f(2 * first_own(layer) + n);
  }
};

}  // namespace
