"""Reproduction of three papers on training noise: their figures, and verdicts on their claims."""
