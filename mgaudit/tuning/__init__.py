"""The search for settings of training, on data held out from the audit."""
