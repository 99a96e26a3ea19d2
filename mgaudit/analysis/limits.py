"""The limits of an analysis, which settings are checked against before anything is trained."""

FEWEST_MODELS = 3  # an interval over fewer targets is too wide to be of use
