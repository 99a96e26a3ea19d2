"""A study from plan to result: train, query, attack, summarise."""
