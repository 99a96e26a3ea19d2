"""Audits of a user's own training functions and estimators."""
