"""The expected risk of small networks under Gaussian weight noise (arXiv 2206.04613).

One convention throughout: risk R = (1/2n) sum_i ||f(x_i) - y_i||^2, `inputs` X (examples,
features), `targets` Y (examples, outputs), and a standard deviation `std` that is a single
weight's. Under the scheme WeightNoise of strength sigma that is sigma / sqrt(M) with noise on all M
layers, and sigma with noise on one.
"""
