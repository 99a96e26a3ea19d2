"""The names of the files in a run directory that hold results."""

RESULT_FILE = "result.json"
ARRAYS_FILE = "arrays.npz"
DP_AUDIT_FILE = "dp-audit.json"
REPRODUCTION_FILE = "reproduction.json"
