"""Storage of ensembles and runs, and the comparison of stored runs."""
