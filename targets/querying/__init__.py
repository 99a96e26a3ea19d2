"""Queries of trained models: logits for each example, gradients, and curvature of the loss."""
