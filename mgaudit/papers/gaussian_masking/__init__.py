"""The figures of the paper on Gaussian input masking, one a file."""
