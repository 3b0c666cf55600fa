"""Where the two re-implementations that this library descends from depart from the paper (see `resnext.lineage`)."""

from collections.abc import Iterator
from typing import Literal, NamedTuple

Lineage = Literal["wenga", "taki"]


class Departures(NamedTuple):
    """The points in which a network may depart from the paper's; the defaults are the paper's."""

    strides_at: Literal["3x3", "1x1"] = "3x3"  # the convolution of a block that has its stride
    first_strides: int = 1  # of stage 2
    doubles_width: bool = True  # of a path, at every stage
    first_channels: int = 256  # of stage 2; doubled at every stage after it, like every width (Table 1)
    has_bias: bool = False  # in the convolutions
    activates_transition: bool = False  # before the addition, and not only after it
    epsilon: float = 1e-5  # of batch norm, as in PyTorch
    momentum: float = 0.9  # likewise: its 0.1 is Keras's 0.9
    initializer: Literal["he", "glorot"] = "he"
    pads_pool: bool = True  # of the ImageNet stem
    averages_shortcut: bool = False  # type A averages 2x2 fields, and pads channels on both sides
    keeps_positions: bool = False  # the classifier sees averages of 2x2 fields, each with weights of its own
    head_has_bias: bool = True

    def in_words(self) -> Iterator[str]:
        """Yield the points in which it differs from the paper, in words."""
        words = {
            "strides_at": f"the stride is in the {self.strides_at}",
            "first_strides": f"stage 2 has stride {self.first_strides}",
            "doubles_width": "paths are equally wide in all stages",
            "first_channels": f"the blocks of stage 2 have {self.first_channels} channels, doubled at every stage",
            "has_bias": "convolutions have biases",
            "activates_transition": "a ReLU before the addition, so that a block can only add",
            "epsilon": f"batch norm with epsilon {self.epsilon:g}",
            "momentum": f"batch norm with momentum {self.momentum:g}",
            "initializer": "initial weights by Glorot and Bengio 2010",
            "pads_pool": "the max-pool is not padded",
            "averages_shortcut": "the shortcut averages 2x2 fields, with zero channels on both sides",
            "keeps_positions": "the classifier sees averages of 2x2 fields one by one: it is for one size of images",
            "head_has_bias": "no bias in the classifier",
        }
        yield from (words[name] for name, value, plain in zip(self._fields, self, PAPER, strict=True) if value != plain)


PAPER = Departures()
DEPARTURES: dict[Lineage | None, Departures] = {
    None: PAPER,
    "wenga": Departures(
        strides_at="1x1", first_strides=2, has_bias=True, activates_transition=True, epsilon=1e-3, momentum=0.99,
        initializer="glorot", pads_pool=False, keeps_positions=True,
    ),
    "taki": Departures(
        strides_at="1x1", doubles_width=False, first_channels=64, epsilon=1e-3, initializer="glorot",
        averages_shortcut=True, head_has_bias=False,
    ),
}  # fmt: skip
