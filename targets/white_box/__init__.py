"""A white-box adversary: canaries in the steps of DP-SGD, and a record of what they release."""
