"""`python -m mgaudit`."""

from mgaudit.cli.app import main

main()
