"""The base class of built-in networks."""

from typing import Any, ClassVar

from torch import nn


class Network(nn.Module):
    """A network that is built from (input_shape, classes) and options.

    `input_shape` is the shape of one example, and `classes` the number of outputs. `name` selects
    the network and `source` is the publication. `images` states whether the network accepts only
    images, and `small` are options of a small version for tests. `per_example` states whether the
    logits of an example depend on it alone in training, so that it has a gradient of its own, which
    DP-SGD needs. The user's own network is any torch.nn.Module; `mgaudit.targets.contract` checks
    it.
    """

    name: ClassVar[str]
    source: ClassVar[str] = "–"
    images: ClassVar[bool] = False
    per_example: ClassVar[bool] = True
    small: ClassVar[dict[str, Any]]
