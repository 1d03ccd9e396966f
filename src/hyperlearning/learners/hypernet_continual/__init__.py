"""One hypernetwork that learns tasks one after another: a task is an embedding, and what was emitted for earlier ones is kept.

| file | what |
| --- | --- |
| `learner` | the learner: an embedding a task, Adam, and an objective; the interface of an objective |
| `output_penalty` | what is emitted for old tasks stays: von Oswald et al., all old tasks as one batch |
| `factored` | likewise, from thin factors, without emitting it |
| `lookahead` | the step that an optimizer would take, not taken |
| `hypermask` | masks of one trained network are emitted: HyperMask |
| `intervals` | intervals of embeddings, and worst cases of the networks in them: HINT |
| `task_inference` | which task an input is of, by how sure every task's network is |
| `replaying` | decoders are emitted too, a task each, whose images teach a classifier of tasks and labels |
"""
