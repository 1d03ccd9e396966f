"""Active learners: how a pool is asked about, what is trained on the answers, and what each strategy is worth."""
