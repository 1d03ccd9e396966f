"""Everything compiled: tensors in, tensors out; no kernel knows a network.

What is computed (Python, and the C++ behind it):

| module | C++ | computes |
| --- | --- | --- |
| `dan` | `dan.cpp`, `dan_problem.h`, `dan_rows.h`, `dan_blocks.h` | a population of DAN networks, and gradients |
| `unroll` | `unroll.cpp`, `unroll_pass.h` | many steps of gradient descent of such a population, and their exact derivative |
| `dan_spec` | `phenotype.h` | what both fix when they are compiled: sizes, and the phenotype |
| `convolution` | `convolution.cpp` | a small convolutional phenotype on many drives, and gradients |
| `classifiers` | `classifiers.cpp` | a population of small convolutional classifiers, gradients, and descent |
| `adam` | `adam.cpp` | one update of Adam |
| `last_layer` | `last_layer.cpp` | Adam on a linear softmax layer, one example at a time, many runs |
| `rows` | `rows.cpp` | what stands around the matrix products of `row_convolution` and `winograd` |
| `row_convolution` | - | convolution, pooling and normalization on rows of channels, differentiable twice |
| `winograd` | - | the convolutions of batches, with a third of the multiplications |

What they share: `toolchain` compiles, keeps, checks and loads libraries; `tensors` checks tensors and takes them to C++;
`simd.h` has vectors, `matrices.h` their small products, `tanh.h` the activation, `workers.h` the threads.
"""
