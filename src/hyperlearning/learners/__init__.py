"""How networks learn, one method a file: the inner loop, the hyper step, deployment, trajectories, prototypes, penalties."""
