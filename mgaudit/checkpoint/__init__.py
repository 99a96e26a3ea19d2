"""Audits of a model that was trained before: a checkpoint with its members and non-members."""
