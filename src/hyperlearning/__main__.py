"""`python -m hyperlearning` is `hyperlearning`."""

from hyperlearning.cli import main

main()
