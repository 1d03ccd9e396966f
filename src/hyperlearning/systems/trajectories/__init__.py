"""OML and ANML: representations trained through trajectories of single images, tested on hundreds of classes."""
