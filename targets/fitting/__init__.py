"""Training of targets, the models that are attacked."""
