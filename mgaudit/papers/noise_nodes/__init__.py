"""Figures of the paper on noise injection nodes: measurement, drawing and claims of each."""
