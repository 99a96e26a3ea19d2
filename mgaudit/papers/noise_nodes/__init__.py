"""The figures of the paper on noise injection nodes: what each is measured from, its drawing, its claims' checks."""
