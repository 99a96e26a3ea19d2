"""The limits of data, networks, training and queries, a part of the table in `mgaudit.limits`.

What depends on the machine is compared with `mgaudit.targets.free_memory`.
"""

from mgaudit.errors import Limit

# Data.
TABLE_BYTES = Limit(
    "must have at most {} bytes, unpacked", 4 * 10**9, "leave out rows, or write a npz file"
)
COLUMNS = Limit(
    "must have at most {} columns", 20_000, "leave out columns, or write a npz file with x and y"
)
TABLE_ROWS = Limit("must have at most {} rows", 10**8, "leave out rows, or write a npz file")
FOOTER_BYTES = Limit(
    "must have a footer of at most {} bytes", 2**24, "write it with larger groups of rows"
)
PAGES = Limit("must have at most {} pages", 500_000, "write it with larger pages")
FEATURES_OF_TABLE = Limit(
    "must become at most {} features",
    100_000,
    "leave out columns of texts, or use a smaller most_categories",
)
CLASSES = Limit("must have at most {} classes", 100_000, "check which values are the classes")
IMAGE_FILES = Limit("must have at most {} image files", 5_000_000, "leave out images")
IMAGE_PIXELS = Limit("must have at most {} pixels", 2**26, "make the image smaller or leave it out")
IMAGE_SIDE = Limit("must have sides of at most {} pixels", 4096, "use size=32 or size=32x48")
SYNTHETIC_VALUES = Limit(
    "must have at most {} values, features and classes of all examples counted",
    10**9,
    "use a smaller size, or fewer features or classes",
)

# Networks and schemes.
LAYERS = Limit("must have at most {} layers", 256, "use fewer layers")
BLOCKS = Limit("must be at most {} blocks in each stage", 200, "use fewer blocks")
WIDTH = Limit("must be at most {} in each layer", 2**20, "use a smaller width")
WEIGHTS = Limit("must have at most {} weights", 10**9, "use a smaller network")
SCHEME_PARTS = Limit("must have at most {} parts", 20, "join fewer schemes by +")

# Training. Steps of a microsecond each would take a month for more.
EPOCHS = Limit("must be at most {}", 10**6, "use fewer epochs")
BATCH_SIZE = Limit("must be at most {}", 10**8, "use smaller batches")
CLIENTS = Limit("must be at most {}", 10**5, "use fewer clients")
LOCAL_STEPS = Limit("must be at most {}", 10**6, "average more often")
VIEWS = Limit("must be at most {}", 64, "use fewer views")

# DP-SGD. The accountants bound the size of their grids, and without a bound by one of them, that
# of another one is used.
STEPS = Limit("must be at most {} steps of DP-SGD", 10**9, "use fewer epochs or larger batches")
EPSILON = Limit("must be at most {}", 50, "a larger epsilon is no useful protection")
NOISE_MULTIPLIER = Limit("must be at most {}", 10**6, "more noise leaves nothing but noise")
POINTS_PLD = Limit("must have at most {} points", 2**20, "use RDP and GDP")
POINTS_OF_A_STEP = Limit("must have at most {} points", 2**15, "use RDP and GDP")
POINTS_PRV = Limit("must have at most {} points", 2**21, "use the other accountants")

# Queries.
QUERIES = Limit("must be at most {} queries of each example", 1000, "use fewer queries")
NOISE_DRAWS = Limit("must be at most {} draws of the noise", 1000, "use fewer draws")
