"""A person labels a folder of images: a directory that holds all that is known, and the ways in which answers reach it."""
