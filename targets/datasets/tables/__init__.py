"""Datasets of tables: text files such as CSV, and Parquet."""
