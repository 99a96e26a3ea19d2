"""The packages: the four folders of code at the top level are imported as parts of `mgaudit`.

`mgaudit/attacks` and its like are links for tools that read the tree. A build must not depend on
them: a clone without symbolic links has none, and neither has a source distribution.
"""

from setuptools import find_packages, setup

FOLDERS = ("attacks", "reports", "studies", "targets")

linked = [pattern for folder in FOLDERS for pattern in (f"mgaudit.{folder}", f"mgaudit.{folder}.*")]
packages = find_packages(include=["mgaudit", "mgaudit.*"], exclude=linked)
for folder in FOLDERS:
    inside = [f"mgaudit.{folder}.{package}" for package in find_packages(folder)]
    packages += [f"mgaudit.{folder}", *inside]

setup(packages=packages, package_dir={f"mgaudit.{folder}": folder for folder in FOLDERS})
