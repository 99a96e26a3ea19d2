"""The figures of a report: results in, matplotlib figures out."""
