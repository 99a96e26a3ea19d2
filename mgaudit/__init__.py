"""Privacy audits of training noise: how much privacy does it buy, and at what accuracy?"""

__version__ = "0.1.0"
