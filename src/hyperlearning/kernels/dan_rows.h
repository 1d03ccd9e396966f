// A member evaluated for a few samples, one at a time: see `dan.cpp`, path "rows".

#pragma once

#include "dan_problem.h"
#include "matrices.h"
#include "tanh.h"

namespace {

INLINE real dot(const real* a, const real* b, int size) {
  vec sums[4] = {};
  int i = 0;
  for (; i + 4 * kLanes <= size; i += 4 * kLanes)
    UNROLL for (int v = 0; v < 4; ++v) sums[v] += load(a + i + v * kLanes) * load(b + i + v * kLanes);
  for (; i + kLanes <= size; i += kLanes) sums[0] += load(a + i) * load(b + i);
  real total = sum_lanes((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < size; ++i) total += a[i] * b[i];
  return total;
}

// Values of one sample: outputs of all nodes, the drives, then the padded hidden stages.
constexpr int stage_width(int k) { return k == 0 ? kChannels : padded(kWidths[k]); }
constexpr int stage_start(int stage) {
  return padded(kAllNodes) + total(0, stage, [](int k) { return padded(kNodes * stage_width(k)); });
}

struct Rows {
  static constexpr int kSampleSize = stage_start(kStages);

  static long tape_size(int batch) { return long(batch) * kSampleSize; }

  struct Scratch {
    alignas(64) real values[kSampleSize + kLanes];
    alignas(64) real out_gradients[kAllNodes + kLanes];
    alignas(64) real deltas[2][kMostNodes * padded(kMostWidth)];
    alignas(64) real drive_gradient[kMostNodes * kChannels + kLanes];
    alignas(64) real gradient[kPaddedSize + kLanes];
  };

  const Problem& p;
  const Phenotype& phenotype;
  Scratch& s;
  int member;

  static INLINE real* stage(int k, int layer, real* values) {
    if (k == kStages) return values + first_node(layer);
    return values + stage_start(k) + (first_node(layer) - kInputs) * stage_width(k);
  }

  // ---- forward

  __attribute__((noinline)) void forward(int sample, real* values) const {
    const long row = long(member) * p.batch + sample;
    for (int i = 0; i < kInputs; ++i) values[i] = checked(p.x[row * kInputs + i]);
    for (int b = 1; b <= kLayers; ++b) {
      real* to = stage(0, b, values);
      sum_biases(p, b, member, to);
      for_maps_into(b, [&](int map) {
        const int from = kFrom[map];
        add_drive(values + first_node(from), kSizes[from], weight_of(p, map, member), map_columns(map), to);
      });
      each<kStages - 1>([&](auto i) { forward_stage<i + 1>(b, values); });
      forward_output(b, values);
    }
    if (!p.y) return;
    for (int n = 0; n < kOutputs; ++n) p.y[row * kOutputs + n] = kOutputScale * values[first_node(kLayers) + n];
  }

  // to += sum over sources of out[source] * synapses[source].
  static INLINE void add_drive(const real* out, int rows, const real* synapses, int size, real* to) {
    int i = 0;
    for (; i + 4 * kLanes <= size; i += 4 * kLanes)
      tile<Start::kResume, 1, 4>(rows, {out, 0, 1}, synapses + i, size, to + i, 0);
    for (; i + kLanes <= size; i += kLanes)
      tile<Start::kResume, 1, 1>(rows, {out, 0, 1}, synapses + i, size, to + i, 0);
    for (; i < size; ++i)
      for (int k = 0; k < rows; ++k) to[i] += out[k] * synapses[k * size + i];
  }

  template <int K>
  INLINE void forward_stage(int layer, real* values) const {
    constexpr int width = padded(kWidths[K]);
    real* to = stage(K, layer, values);
    multiply_any<Start::kColumnBias>(kSizes[layer], kWidths[K - 1], {stage(K - 1, layer, values), stage_width(K - 1), 1},
                                     phenotype.straight + padded_start(K), width, to, width, width,
                                     phenotype.straight + padded_bias(K));
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

  // ---- backward

  __attribute__((noinline)) void backward(int sample, real* values) const {
    std::fill_n(s.out_gradients, kAllNodes, real(0));
    const real* g = p.y_gradient + (long(member) * p.batch + sample) * kOutputs;
    for (int n = 0; n < kOutputs; ++n) s.out_gradients[first_node(kLayers) + n] = kOutputScale * g[n];
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
      for (int i = 0; i < width; i += kLanes) store(next + n * width + i, splat(delta[n]) * load(weight + i));
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
      multiply_any<Start::kResume>(kWidths[K - 1], nodes, {from, 1, stage_width(K - 1)}, delta, out,
                                   s.gradient + padded_start(K), out, out);
      real* bias = s.gradient + padded_bias(K);
      for (int n = 0; n < nodes; ++n)
        for (int j = 0; j < out; ++j) bias[j] += delta[n * out + j];
    }
    multiply_any<Start::kZero>(nodes, kWidths[K], {delta, out, 1}, phenotype.transposed + transposed_start(K), in, next,
                               in, in);
    if (K > 1) through_tanh(next, from, nodes * in);
  }

  INLINE void synapse_gradients(int layer, int sample, const real* values, real* delta) const {
    constexpr int width = padded(kChannels);
    if (width != kChannels) {
      for (int n = 0; n < kSizes[layer]; ++n)
        std::copy_n(delta + n * width, kChannels, s.drive_gradient + n * kChannels);
      delta = s.drive_gradient;
    }
    for_maps_into(layer, [&](int map) {
      if (p.weight_gradients) map_gradient(map, sample, values + first_node(kFrom[map]), delta);
      if (kFrom[map] > 0) source_gradient(map, delta);
    });
  }

  INLINE void map_gradient(int map, int sample, const real* out, const real* delta) const {
    const int size = map_columns(map);
    real* to = p.weight_gradients[map] + member * map_size(map);
    for (int k = 0; k < kSizes[kFrom[map]]; ++k) add_scaled(out[k], delta, size, sample > 0, to + k * size);
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

  // ---- all samples

  // Calls f(sample, its place on the tape).
  template <typename F>
  INLINE void each_sample(F&& f) const {
    for (int i = 0; i < p.batch; ++i) f(i, p.tape ? p.tape + (long(member) * p.batch + i) * kSampleSize : s.values);
  }

  void run_forward() const {
    each_sample([&](int sample, real* values) { forward(sample, values); });
  }

  void run_backward() const {
    if (p.partial_gradients) std::fill_n(s.gradient, kPaddedSize, real(0));
    each_sample([&](int sample, real* values) {
      if (!p.tape) forward(sample, values);
      backward(sample, values);
    });
    if (p.partial_gradients) write_flat(s.gradient, 1, p.partial_gradients + long(member) * kPhenotypeSize);
  }
};

}  // namespace
