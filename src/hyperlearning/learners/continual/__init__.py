"""One network that learns tasks one after another, and what keeps it from forgetting; which task an image is of is known.

| file | what |
| --- | --- |
| `learner` | the learner: a shared body, a head a task, SGD, and a remedy; the interface of a remedy |
| `quadratic` | pulls to where parameters were: L2, online L2, EWC, online EWC, synaptic intelligence |
| `fisher` | the diagonal of the Fisher information, exact over a network's own labels |
| `distillation` | learning without forgetting: what old heads said of the new images |
| `rehearsal` | replay of some images of every task |
| `strengths` | the search for a remedy's strength |
| `progress_and_compress` | a new column a task, distilled into one network |
"""
