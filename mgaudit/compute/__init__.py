"""Execution of tasks on the cores of this machine."""
