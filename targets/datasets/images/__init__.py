"""Datasets of image files, one folder per class."""
