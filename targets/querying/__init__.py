"""Queries of trained models: logits, gradients and curvature."""
