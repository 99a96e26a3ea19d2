"""The networks that are audited."""
