"""Outputs of models that mgaudit did not train: arrays and files of the user."""
