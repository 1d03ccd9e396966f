// A member evaluated for many samples: see `dan.cpp`, paths "blocks" and "folded".

#pragma once

#include "dan_problem.h"
#include "matrices.h"
#include "tanh.h"

namespace {

// Source rows of a layer's effective matrix without its bias row, and where a map's rows start.
constexpr int sources(int layer) {
  return total(0, kMaps, [=](int i) { return kTo[i] == layer ? kSizes[kFrom[i]] : 0; });
}
constexpr int source_row(int map) {
  return total(0, map, [=](int i) { return kTo[i] == kTo[map] ? kSizes[kFrom[i]] : 0; });
}

// lanes[i][j] += sum over nodes and samples of a[node][i] d[node][j], samples kept in lanes.
template <int In, int Out>
INLINE void correlate_units(int nodes, const real* a, const real* d, real* lanes) {
  for_tiles<Out, 3>([&](int j, auto columns) INLINE_LAMBDA {
    for_tiles<In, 4>([&](int i, auto rows) INLINE_LAMBDA {
      correlate<rows, columns>(nodes, kBlock, a + i * kBlock, In * kBlock, kBlock, d + j * kBlock, Out * kBlock,
                               [](int c) { return c * kBlock; }, lanes + (i * Out + j) * kLanes, Out);
    });
  });
}

// ------------------------------------------------------------------------------------ Member

template <bool Fold>
struct Blocks {
  static constexpr int kFirst = Fold ? 1 : 0;  // the first stage that is formed
  static constexpr int kUnits = kWidths[kFirst];
  static constexpr int kPadded = padded(kUnits);

  // Effective matrices of all layers, each (sources and bias, nodes, padded units).
  static constexpr int width_of_matrix(int layer) { return kSizes[layer] * kPadded; }
  static constexpr int matrix_start(int layer) {
    return total(1, layer, [](int b) { return (sources(b) + 1) * width_of_matrix(b); });
  }
  static constexpr int kMatrices = matrix_start(kLayers + 1);
  static constexpr int kMostSources = most(1, kLayers + 1, sources);

  // Values of a block per sample: outputs of all nodes, then the stages before the last.
  static constexpr int stage_start(int stage) {
    return kAllNodes + total(kFirst, stage, [](int k) { return kNodes * kWidths[k]; });
  }
  static constexpr int kBlockSize = stage_start(kStages) * kBlock;

  static long tape_size(int batch) { return kMatrices + long((batch + kBlock - 1) / kBlock) * kBlockSize; }

  struct Scratch {
    alignas(64) real matrices[kMatrices + kLanes];
    alignas(64) real matrix_gradients[kMatrices + kLanes];
    alignas(64) real values[kBlockSize];
    alignas(64) real in[(kMostSources + 1) * kBlock];
    alignas(64) real out_gradients[kAllNodes * kBlock];
    alignas(64) real deltas[2][kMostNodes * kMostWidth * kBlock];
    alignas(64) real transposed[kBlock * kMostNodes * kPadded];
    alignas(64) real lanes[kPhenotypeSize * kLanes];
    alignas(64) real first_gradient[(kChannels + 1) * kPadded];
    alignas(64) real bias[kMostNodes * kChannels];
    alignas(64) real rows[kMostNodes * padded(kChannels)];
  };

  const Problem& p;
  const Phenotype& phenotype;
  Scratch& s;
  int member;

  // ---- effective matrices

  __attribute__((noinline)) void gather_matrices(real* matrices) const {
    for (int b = 1; b <= kLayers; ++b) {
      const int nodes = kSizes[b], width = width_of_matrix(b);
      real* matrix = matrices + matrix_start(b);
      for_maps_into(b, [&](int map) {
        gather_rows(weight_of(p, map, member), kSizes[kFrom[map]] * nodes, nullptr, matrix + source_row(map) * width);
      });
      sum_biases(p, b, member, s.bias);
      gather_rows(s.bias, nodes, phenotype.straight + padded_bias(1), matrix + sources(b) * width);
    }
  }

  INLINE void gather_rows(const real* from, int rows, const real* bias, real* to) const {
    const real* first = phenotype.straight + padded_start(1);
    const Operand a = {from, kChannels, 1};
    if (!Fold)
      for (int r = 0; r < rows; ++r) std::copy_n(from + r * kChannels, kUnits, to + r * kPadded);
    else if (bias)
      multiply_any<Start::kColumnBias>(rows, kChannels, a, first, kPadded, to, kPadded, kPadded, bias);
    else
      multiply_any<Start::kZero>(rows, kChannels, a, first, kPadded, to, kPadded, kPadded);
  }

  // Outputs of the source nodes of a layer, and ones for the bias row.
  INLINE void gather_sources(int layer, const real* out) const {
    for_maps_into(layer, [&](int map) {
      const real* from = out + first_node(kFrom[map]) * kBlock;
      std::copy_n(from, kSizes[kFrom[map]] * kBlock, s.in + source_row(map) * kBlock);
    });
    std::fill_n(s.in + sources(layer) * kBlock, kBlock, real(1));
  }

  // ---- forward

  INLINE void read_inputs(int first, real* out) const {
    const real* x = p.x + long(member) * p.batch * kInputs;
    for (int i = 0; i < kBlock; ++i) {
      const long from = long(std::min(first + i, p.batch - 1)) * kInputs;
      for (int n = 0; n < kInputs; ++n) out[n * kBlock + i] = checked(x[from + n]);
    }
  }

  // Calls f(sample in block, output, its place) for the samples of a block that there are.
  template <typename F>
  INLINE void each_output(int first, F&& f) const {
    const long start = (long(member) * p.batch + first) * kOutputs;
    for (int i = 0; i < std::min(kBlock, p.batch - first); ++i)
      for (int n = 0; n < kOutputs; ++n) f((first_node(kLayers) + n) * kBlock + i, start + i * kOutputs + n);
  }

  __attribute__((noinline)) void forward(int first, const real* matrices, real* values) const {
    read_inputs(first, values);
    for (int b = 1; b <= kLayers; ++b) {
      gather_sources(b, values);
      drive(b, matrices + matrix_start(b), values);
      each<kStages - kFirst>([&](auto i) { forward_stage<i + kFirst + 1>(b, values); });
    }
    if (p.y) each_output(first, [&](int at, long to) { p.y[to] = kOutputScale * values[at]; });
  }

  INLINE void drive(int layer, const real* matrix, real* values) const {
    const int width = width_of_matrix(layer);
    real* to = stage(kFirst, layer, values);
    for (int n = 0; n < kSizes[layer]; ++n)
      multiply<Start::kZero>(kUnits, sources(layer) + 1, {matrix + n * kPadded, 1, width}, s.in, kBlock,
                             to + n * kUnits * kBlock, kBlock, kBlock);
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
      multiply<Start::kRowBias>(out, in, {p.phenotype[2 * K - 2], 1, out}, from + n * in * kBlock, kBlock,
                                to + n * out * kBlock, kBlock, kBlock, p.phenotype[2 * K - 1]);
    if (K < kStages || kOutputTanh) tanh_all(to, kSizes[layer] * out * kBlock);
  }

  // ---- backward

  __attribute__((noinline)) void backward(int first, const real* matrices, real* values) const {
    std::fill_n(s.out_gradients, kAllNodes * kBlock, real(0));
    each_output(first, [&](int at, long from) { s.out_gradients[at] = kOutputScale * p.y_gradient[from]; });
    for (int b = kLayers; b > 0; --b) backward_layer(b, matrices, values);
  }

  INLINE void backward_layer(int layer, const real* matrices, real* values) const {
    real* delta = s.out_gradients + first_node(layer) * kBlock;
    if (kOutputTanh) through_tanh(delta, stage(kStages, layer, values), kSizes[layer] * kBlock);
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
      correlate_units<in, out>(kSizes[layer], from, delta, s.lanes + weight_start(K) * kLanes);
      bias_lanes<out>(kSizes[layer], delta, s.lanes + bias_start(K) * kLanes);
    }
    for (int n = 0; n < kSizes[layer]; ++n)
      multiply<Start::kZero>(in, out, {p.phenotype[2 * K - 2], out, 1}, delta + n * out * kBlock, kBlock,
                             next + n * in * kBlock, kBlock, kBlock);
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
      transpose<true>(delta + n * kUnits * kBlock, kUnits, kBlock, kBlock, s.transposed + n * kPadded, width);
    gather_sources(layer, values);
    multiply<Start::kResume>(sources(layer) + 1, kBlock, {s.in, kBlock, 1}, s.transposed, width,
                             s.matrix_gradients + matrix_start(layer), width, width);
  }

  INLINE void source_gradients(int layer, const real* matrix, const real* delta) const {
    const int width = width_of_matrix(layer);
    for_maps_into(layer, [&](int map) INLINE_LAMBDA {
      if (kFrom[map] == 0) return;
      real* to = s.out_gradients + first_node(kFrom[map]) * kBlock;
      const real* rows = matrix + source_row(map) * width;
      for (int n = 0; n < kSizes[layer]; ++n)
        multiply<Start::kResume>(kSizes[kFrom[map]], kUnits, {rows + n * kPadded, width, 1},
                                 delta + n * kUnits * kBlock, kBlock, to, kBlock, kBlock);
    });
  }

  // ---- gradients of synapses and phenotype from those of the effective matrices

  void clear_gradients() const {
    std::fill_n(s.matrix_gradients, kMatrices, real(0));
    std::fill_n(s.lanes, kPhenotypeSize * kLanes, real(0));
    std::fill_n(s.first_gradient, (kChannels + 1) * kPadded, real(0));
  }

  __attribute__((noinline)) void write_synapse_gradients() const {
    for (int map = 0; map < kMaps; ++map) {
      const int layer = kTo[map], rows = kSizes[kFrom[map]], width = width_of_matrix(layer), size = map_columns(map);
      const real* gradient = s.matrix_gradients + matrix_start(layer);
      for (int r = 0; r < rows; ++r)
        write_row(gradient + (source_row(map) + r) * width, kSizes[layer],
                  p.weight_gradients[map] + member * map_size(map) + r * size);
      write_row(gradient + sources(layer) * width, kSizes[layer], p.bias_gradients[map] + long(member) * size);
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
    multiply_any<Start::kResume>(kChannels, rows, {synapses, 1, kChannels}, gradient, kPadded, s.first_gradient, kPadded,
                                 kPadded);
  }

  __attribute__((noinline)) void write_phenotype_gradient() const {
    real* to = p.partial_gradients + long(member) * kPhenotypeSize;
    for (int i = Fold ? weight_start(2) : 0; i < kPhenotypeSize; ++i) to[i] = sum_lanes(load(s.lanes + i * kLanes));
    if (!Fold) return;
    contract_first_layer();
    for (int r = 0; r <= kChannels; ++r) std::copy_n(s.first_gradient + r * kPadded, kUnits, to + r * kUnits);
  }

  // ---- all samples

  real* tape() const { return p.tape + member * tape_size(p.batch); }

  // Calls f(first sample, block of the tape).
  template <typename F>
  INLINE void each_block(F&& f) const {
    for (int first = 0, i = 0; first < p.batch; first += kBlock, ++i)
      f(first, p.tape ? tape() + kMatrices + long(i) * kBlockSize : s.values);
  }

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

}  // namespace
