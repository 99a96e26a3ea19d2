"""The expected risk of small networks under Gaussian weight noise (arXiv 2206.04613).

All modules use the risk R = (1/2n) sum_i ||f(x_i) - y_i||^2 of n examples, with `inputs` X
(examples, features) and `targets` Y (examples, outputs). E R is its expectation over the noise, so
E R - R is what the noise adds. `std` is the standard deviation of the noise on a single weight.
Under the scheme WeightNoise of strength sigma, it is sigma / sqrt(M) with noise on all M layers,
and sigma with noise on one layer. Norms of matrices are Frobenius norms, unless another is named.
"""
