"""`python -m mgaudit`."""

import os
import sys

# Python puts the current directory first. There, no file replaces a module that mgaudit needs, as
# for the command `mgaudit`.
if not sys.flags.safe_path and sys.path[0] in ("", os.getcwd()):
    sys.path.append(sys.path.pop(0))

from mgaudit.cli.app import main

main()
