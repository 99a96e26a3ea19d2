"""How targets are trained."""
