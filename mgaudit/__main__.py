"""`python -m mgaudit`."""

from mgaudit.cli import main

main()
