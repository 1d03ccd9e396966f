"""Few-shot learners, one method a file: a support and queries in, logits of the queries out, differentiable."""
