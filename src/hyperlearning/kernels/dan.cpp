// Forward and backward pass of a population of networks of Deep Artificial Neurons (see `phenotype.h`).
//
// Members are independent; a thread takes one member at a time. A member is evaluated in one of
// three ways, chosen from the batch size by counting operations (`make_plan`):
//
//   rows      a few samples. One sample at a time; vectors run along channels or hidden units,
//             which are padded to whole vectors. Synapses are read in place.
//   blocks    many samples. Blocks of 2 vectors of samples; all values are feature-major,
//             value[feature][sample in block], nodes outermost. Synapses are first gathered into
//             one "effective" matrix per layer, F[source row][node][unit], whose last source row
//             is the bias.
//   folded    blocks in which F is synapses @ W1, so that the drive is never formed: nothing
//             nonlinear separates the two. Stage 0 does not exist in this case.
//
// The last block is padded with copies of the last sample whose output gradient is zero. Activations
// are kept on a "tape" between forward and backward, or recomputed block by block if no tape is given.
//
// Sums never depend on the number of threads: phenotype gradients are kept per member and added in
// the order of the members.

#include "dan_blocks.h"
#include "dan_rows.h"
#include "workers.h"

namespace {

enum class Path { kRows, kBlocks, kFolded };

// Counts multiplications of a forward and a backward pass of one member.
Path make_plan(int batch) {
  if (batch <= kLanes) return Path::kRows;
  constexpr int hidden = kWidths[1];
  const long samples = (batch + kBlock - 1) / kBlock * kBlock;
  const long folded = 2 * edges() * kChannels * hidden + 3 * samples * edges() * hidden;
  const long plain = 3 * samples * (edges() * kChannels + long(kNodes) * kChannels * hidden);
  return folded < plain ? Path::kFolded : Path::kBlocks;
}

// Calls f with a null pointer to the type that evaluates members in the planned way.
template <typename F>
auto with_plan(int batch, F&& f) {
  switch (make_plan(batch)) {
    case Path::kRows: return f(static_cast<Rows*>(nullptr));
    case Path::kBlocks: return f(static_cast<Blocks<false>*>(nullptr));
    default: return f(static_cast<Blocks<true>*>(nullptr));
  }
}

int run(const Problem& p, int threads) {
  const Phenotype phenotype(p.phenotype);
  const double each = double(p.batch) * (edges() * kChannels + long(kNodes) * kPhenotypeSize);
  return with_plan(p.batch, [&](auto* plan) {
    using Member = std::remove_pointer_t<decltype(plan)>;
    const int useful = useful_threads(threads, p.members, p.members * each);
    return run_with_scratch<typename Member::Scratch>(useful, p.members, [&](auto& working, int member) {
      const Member task = {p, phenotype, working, member};
      if (p.y) task.run_forward(); else task.run_backward();
      return true;
    });
  });
}

}  // namespace

extern "C" {

// Numbers per member on the tape.
long dan_tape_size(int batch) {
  return with_plan(batch, [&](auto* plan) { return std::remove_pointer_t<decltype(plan)>::tape_size(batch); });
}

// `inputs` holds the weights of all maps, their biases, then the phenotype. Returns 0, or 1 if
// there is not enough memory.
int dan_forward(int members, int batch, int threads, const real* const* inputs, const real* x, real* y, real* tape) {
  return run({members, batch, inputs, inputs + kMaps, inputs + 2 * kMaps, x, y, tape}, threads);
}

// `synapse_gradients` holds one array per map for weights, then one per map for biases, or is null.
int dan_backward(int members, int batch, int threads, const real* const* inputs, const real* x, real* tape,
                 const real* y_gradient, real* const* synapse_gradients, real* partial_gradients,
                 real* phenotype_gradient) {
  real* const* biases = synapse_gradients ? synapse_gradients + kMaps : nullptr;
  const int failed = run({members, batch, inputs, inputs + kMaps, inputs + 2 * kMaps, x, nullptr, tape, y_gradient,
                          synapse_gradients, biases, partial_gradients}, threads);
  if (!failed && phenotype_gradient) add_rows(partial_gradients, members, kPhenotypeSize, phenotype_gradient);
  return failed;
}

void dan_tanh(long size, const real* x, real* y) {
  for (long i = 0; i < size; ++i) y[i] = tanh_lanes(splat(x[i]))[0];
}

}  // extern "C"
