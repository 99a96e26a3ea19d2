"""Numbers derived from audits."""
