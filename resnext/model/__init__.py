"""The network in Keras: `blocks.py` is Figure 3, `network.py` is Table 1; classifier, features, folding."""

# Files that `model.save` wrote when the package was flat name this module as the home of these classes.
from resnext.model.features import Backbone
from resnext.model.network import ResNeXtModel

__all__ = ["Backbone", "ResNeXtModel"]
