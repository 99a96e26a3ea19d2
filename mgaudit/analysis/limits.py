"""The limits of an analysis, which settings are checked against before anything is trained."""

FEWEST_MODELS = 3  # attacked models; an interval over fewer is too wide to be of use
FEWEST_CANARIES = 20  # with fewer, a target may have no member among them, or no non-member
