"""Closed forms behind the three papers: activations, expected losses, dynamics; all float64."""
