"""The names of the files in a run directory that hold results, and what repeats a run."""

RESULT_FILE = "result.json"
ARRAYS_FILE = "arrays.npz"
DP_AUDIT_FILE = "dp-audit.json"
REPRODUCTION_FILE = "reproduction.json"
CONDITIONS_FILE = "conditions.json"
CHECKSUMS_FILE = "checksums.sha256"

OUTPUTS_FILE = "outputs.npz"
CHECKPOINT_FILE = "checkpoint.safetensors"
MEMBERS_FILE = "members.npy"
NON_MEMBERS_FILE = "non-members.npy"
INPUT_FILES = (OUTPUTS_FILE, CHECKPOINT_FILE, MEMBERS_FILE, NON_MEMBERS_FILE)
