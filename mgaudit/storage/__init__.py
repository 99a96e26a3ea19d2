"""What is kept: ensembles, run folders, joined runs."""
