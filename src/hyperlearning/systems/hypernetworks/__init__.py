"""Networks that write the weights of others: few examples, many tasks, continuous representations."""
