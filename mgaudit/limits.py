"""The table of all limits: the rule, the largest number, and what to do instead.

Everything whose size a user or a file chooses, and that could hang a command or exhaust the memory,
is checked against this table before work on it starts. `targets` and `reports` stand alone, so that
they have their part of the table in modules of the same name. The memory and the disk space that an
audit needs are compared with those of the machine by `mgaudit.study.needs`.
"""

from mgaudit.errors import Limit
from mgaudit.reports import limits as of_reports
from mgaudit.targets import limits as of_targets

# Settings and study files.
SETTINGS_BYTES = Limit("must have at most {} bytes", 1_000_000, "give a TOML file of settings")
SETTINGS_DEPTH = Limit(
    "must nest tables, lists and parts of keys at most {} deep",
    50,
    "see `mgaudit list studies` for files that are right",
)
MODELS = Limit("must be at most {} models of an arm", 100_000, "train fewer models")
ARMS = Limit("must have at most {} items", 1000, "split the study")
STUDIES = Limit(
    "must have at most {} studies, one for each dataset, target and seed", 500, "split the study"
)
ATTACKS = Limit("must have at most {} attacks", 100, "run the others with `mgaudit attack`")
TRIALS = Limit("must be at most {} trials", 10_000, "search for less")
REPEATED_RUNS = Limit("must be at most {} trainings", 100_000, "train fewer models")
DIRECTIONS = Limit("must be at most {} canaries in each step", 2**16, "use fewer directions")
STACK = Limit("must be at most {} models", 4096, "use --stack auto")
JOBS = Limit("must be at most {} processes", 4096, "use one for each core")

# Outputs of models that were trained elsewhere, and members of a checkpoint.
SCORE_ROWS = Limit("must have at most {} rows", 10**8, "write a npz file")
MEMBERS = Limit("must end at {} or before", 10**8, "give the ranges of the training examples")

# Output of own code.
LOGGED_BYTES = Limit("must be at most {} bytes in the log", 2**20, "the rest is left out")


def _rows(names: dict[str, object]) -> dict[str, Limit]:
    return {name: limit for name, limit in names.items() if isinstance(limit, Limit)}


LIMITS: dict[str, Limit] = {
    **_rows(vars(of_targets)),
    **_rows(vars(of_reports)),
    **_rows(dict(globals())),
}
