// Unrolled gradient descent of a population of networks of Deep Artificial Neurons (see
// `phenotype.h`), and its derivative.
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
// Sums never depend on the number of threads: phenotype gradients are kept per member and added in
// the order of the members.

#include "unroll_pass.h"
#include "workers.h"

namespace {

struct Problem {
  int steps, members, batch;
  real lr;
  const real* const* phenotype;
  const real* x;             // (steps, members, batch, inputs)
  const real* y;             // (steps, members, batch, outputs)
  real* losses;              // (steps, members); null on the way back
  real* tape;                // every `stride`-th state of every member, or null
  int stride;
  const real* const* given;  // synapses, or the outer gradient with respect to the last ones
  real* const* result;       // likewise, at the other end of the window
  real* partial_gradients;   // one phenotype gradient per member, or null

  int slots() const { return (steps + stride - 1) / stride; }
  real* slot(int member, int index) const { return tape + (long(member) * slots() + index) * kStateSize; }
};

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
        if constexpr (Update) store(target + j, lam - splat(tangent_factor) * d - splat(factor) * dt);
      } else if constexpr (Update) {
        store(target + j, weight - splat(factor) * d);
      }
    }
  }

  INLINE void run(const real* w, const real* l, real* target) {
    for_chunks<2, 1>(size, [&](int j, auto v) INLINE_LAMBDA { chunk<v>(w, l, target, j); });
  }
};

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
    for_maps_into(layer, [&](int map) {
      if (kFrom[map] > 0) rows<T, true, Update>(pass, map, target);
      else if (Update) rows<T, false, Update>(pass, map, target);
    });
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
    each_row([&](int map, int i, int row) {
      const int size = columns(kTo[map]);
      for_chunks<8, 2, 1>(size, [&](int j, auto v) INLINE_LAMBDA { update_chunk<T, v>(map, i, j, from + row, to + row); });
    });
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

  // Calls f(map, source node or bias, its place in a state) for every row of a state.
  template <typename F>
  INLINE void each_row(F&& f) const {
    for (int map = 0; map < kMaps; ++map)
      for (int i = 0; i <= kSizes[kFrom[map]]; ++i) f(map, i, state_start(map) + i * columns(kTo[map]));
  }

  // ---- the window

  // Where the state before step t is kept.
  real* home(int t) const {
    const bool kept = p.tape && t % p.stride == 0 && t < p.steps;
    return kept ? p.slot(member, t / p.stride) : s.state;
  }

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
    if (p.partial_gradients) write_flat(s.gradient, -p.lr, p.partial_gradients + long(member) * kPhenotypeSize);
  }

  // ---- between tensors and states

  // Tensors are the weights of all maps, then their biases. The padding of `to` must be zero.
  void pack(const real* const* from, real* to) const {
    each_row([&](int map, int i, int row) {
      const int size = map_columns(map);
      std::copy_n(tensor_row(from, map, i), size, to + row);
      std::fill(to + row + size, to + row + columns(kTo[map]), real(0));
    });
  }

  void unpack(const real* from, real* const* to) const {
    each_row([&](int map, int i, int row) { std::copy_n(from + row, map_columns(map), tensor_row(to, map, i)); });
  }

  template <typename R>
  R* tensor_row(R* const* tensors, int map, int i) const {
    const long size = map_columns(map), nodes = kSizes[kFrom[map]];
    if (i == nodes) return tensors[kMaps + map] + member * size;
    return tensors[map] + (member * nodes + i) * size;
  }
};

int run(const Problem& p, int threads) {
  const Phenotype phenotype(p.phenotype);
  const double each = 3.0 * p.batch * (kStateSize + double(kNodes) * kPhenotypeSize);
  const long between = p.losses ? 0 : p.stride - 1;
  struct State { real numbers[kStateSize]; };
  const int useful = useful_threads(threads, p.members, p.members * each * p.steps);
  return run_with_scratch<Scratch>(useful, p.members, [&](Scratch& working, int m) {
    Sample* samples = scratch<Sample>(p.batch);
    State* states = scratch<State>(between);
    if (!samples || (between && !states)) return false;
    const Member member = {p, phenotype, working, samples, states ? states->numbers : nullptr, m};
    if (p.losses) member.run_forward(); else member.run_backward();
    return true;
  });
}

}  // namespace

extern "C" {

// Numbers in one member's state on the tape.
long unroll_state_size() { return kStateSize; }

// `inputs` holds the weights of all maps, their biases, then the phenotype; `result` the weights
// and biases after the last step. Returns 0, or 1 if there is not enough memory.
int unroll_forward(int steps, int members, int batch, int threads, double lr, const real* const* inputs, const real* x,
                   const real* y, real* tape, int stride, real* const* result, real* losses) {
  return run({steps, members, batch, static_cast<real>(lr), inputs + 2 * kMaps, x, y, losses, tape, stride, inputs,
              result, nullptr}, threads);
}

// `given` and `result` hold the outer gradients of weights and biases after and before the window.
// The phenotype's gradient (one row per member, then their sum) may be null.
int unroll_backward(int steps, int members, int batch, int threads, double lr, const real* const* phenotype,
                    const real* x, const real* y, real* tape, int stride, const real* const* given,
                    real* const* result, real* phenotype_gradients) {
  const int failed = run({steps, members, batch, static_cast<real>(lr), phenotype, x, y, nullptr, tape, stride, given,
                          result, phenotype_gradients}, threads);
  if (!failed && phenotype_gradients)
    add_rows(phenotype_gradients, members, kPhenotypeSize, phenotype_gradients + long(members) * kPhenotypeSize);
  return failed;
}

}  // extern "C"
