"""The same weights in another form of the block (Xie et al. 2017, Figure 3 and section 3.1)."""

from resnext.errors import ArgumentError
from resnext.model.classifier import keras_config
from resnext.model.network import ResNeXt, ResNeXtModel
from resnext.variants.layer_table import stage_of
from resnext.weights.variables import get_weights, set_weights

# The facts that a network remembers besides the arguments of `ResNeXt`.
BESIDE = ("preprocessing", "class_names", "labels")
EQUAL_FORMS = ("a", "b", "c")


def to_form(model: ResNeXtModel, form: str) -> ResNeXtModel:
    """Build a network of another form that computes the same function with the same weights.

    Args:
        model: network that `ResNeXt` built.
        form: "a", "b" or "c"; form b of a sliced network is called "sliced".

    Raises:
        ArgumentError: the model is not from `ResNeXt`; or the form is the sliced one, which is a different function,
            and the network is not sliced.

    >>> network = ResNeXt("resnext14_2x4d", input_shape=(32, 32, 3), classes=10)
    >>> to_form(network, "b").form
    'b'
    """
    if not isinstance(model, ResNeXtModel) or "include_top" not in model.arguments:
        raise ArgumentError(f"`model` must be what `ResNeXt` built. Received: {type(model).__name__} {model.name!r}")
    if form not in EQUAL_FORMS and not (form == "sliced" and model.variant.sliced):
        raise ArgumentError(
            f"Only the forms 'a', 'b' and 'c' are the same function. Received: {model.form!r} to {form!r}"
        )
    stem = [layer for layer in model.layers if stage_of(layer.name) == 1]
    convolution = next(layer for layer in stem if layer.name.endswith("_conv"))
    with keras_config(convolution.dtype_policy, convolution.data_format, floatx=None):
        arguments = {**model.arguments, "variant": model.variant, "form": form, "name": model.name}
        beside = {name: arguments.pop(name) for name in BESIDE if name in arguments}
        other = ResNeXt(input_tensor=stem[0].input, **arguments)
    set_weights(other, get_weights(model))
    other.arguments |= beside
    return other
