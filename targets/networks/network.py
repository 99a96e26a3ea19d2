"""The base class of built-in networks."""

from typing import Any, ClassVar

from torch import nn


class Network(nn.Module):
    """A network that is built from (input_shape, classes) and options.

    `input_shape` is the shape of one example, and `classes` the number of outputs. `name` selects
    the network and `source` is the publication. `images` states whether the network accepts only
    images, and `small` are options of a small version for tests. All built-in networks support
    per-example gradients, which DP-SGD needs. The user's own network is any torch.nn.Module with
    such a constructor; `mgaudit.targets.contract` checks it.
    """

    name: ClassVar[str]
    source: ClassVar[str] = "–"
    images: ClassVar[bool] = False
    small: ClassVar[dict[str, Any]]
