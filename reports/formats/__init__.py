"""A document in the formats that are written."""
