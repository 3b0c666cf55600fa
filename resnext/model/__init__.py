"""The network in Keras: blocks (Figure 3), network (Table 1), classifier, features, forms, folding."""

# Files that `model.save` wrote when the package was flat name this module as the home of these classes.
from resnext.model.features import Backbone
from resnext.model.network import ResNeXtModel

__all__ = ["Backbone", "ResNeXtModel"]
