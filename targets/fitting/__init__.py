"""Training of targets."""
