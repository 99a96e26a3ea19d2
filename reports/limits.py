"""The limits of result files, a part of the table in `mgaudit.limits`."""

from mgaudit.errors import Limit

RESULT_BYTES = Limit("must have at most {} bytes", 10**9, "run it again")
ARRAYS_BYTES = Limit("must have at most {} bytes, unpacked", 64 * 10**9, "run it again")
# Scores are random numbers, which do not compress. Small files may have any ratio.
ARRAYS_RATIO = Limit(
    "must have at most {} unpacked bytes for each stored byte", 200, "run it again"
)
