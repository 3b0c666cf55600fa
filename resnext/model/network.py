"""The network: stem, stages, head (Xie et al. 2017, Table 1 and section 5.2)."""

import contextlib
import dataclasses
import math
from pathlib import Path

import keras
from keras import layers, ops

from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.layers.initializer import filled_later
from resnext.layers.max_pooling import MaxPooling2D
from resnext.model.blocks import (
    FORMS,
    Block,
    channel_axis,
    convolution_norm_activation,
    downsampling_block,
    identity_block,
)
from resnext.variants.layer_table import downsamples, stem_name, variant_shapes
from resnext.variants.naming import get_variant
from resnext.variants.variant import Stage, Variant
from resnext.weights.load import assign, open_checked
from resnext.weights.published import default_weights

POOLINGS = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}


@keras.saving.register_keras_serializable(package="resnext")
class ResNeXtModel(keras.Model):
    """A functional model that remembers what `ResNeXt` was asked for, also through `.keras` files."""

    arguments: dict

    @property
    def variant(self) -> Variant:
        return Variant.from_json(self.arguments["variant"])

    @property
    def form(self) -> str:
        return self.arguments["form"]

    @property
    def preprocessing(self) -> Preprocessing | None:
        """How images are prepared for the weights that were loaded; None where nobody has said."""
        document = self.arguments.get("preprocessing")
        return None if document is None else Preprocessing.from_json(document)

    def get_config(self):
        return {**super().get_config(), "arguments": self.arguments}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        model = super().from_config({k: v for k, v in config.items() if k != "arguments"}, custom_objects)
        model.arguments = config["arguments"]
        return model


def ResNeXt(
    variant: str | Variant,
    *,
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor=None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int | None = None,
    classifier_activation: str | None = "softmax",
    form: str = "c",
    name: str | None = None,
) -> ResNeXtModel:
    """Build a ResNeXt; the arguments mean what they mean in `keras.applications`.

    It takes normalised images, (batch, height, width, channels) or, where `keras.config.image_data_format()` says so,
    channels first; its layers follow `keras.config.dtype_policy()`. The head computes in float32 at least, so that half
    precision costs no digits of the probabilities.

    Args:
        variant: a name such as `"resnext50_32x4d"`, listed by `list_variants` or not, or a `Variant`.
        include_top: end with global average pooling and the classifier.
        weights: None for a new network; or a file: safetensors or PyTorch's with the names of torchvision or timm, the
            `.h5` of keras-applications or qubvel, or what `save_weights` wrote; or `hf:OWNER/NAME` on huggingface.co;
            or the tag of published weights, such as `"resnext50_32x4d.a1_in1k"`; or `"imagenet"`, the first of these
            whose licence allows every use.
        input_tensor: a Keras tensor to use as the image.
        input_shape: (height, width, channels) or channels first; height and width may be None. By default three
            channels, and the published size (224 or 32 pixels) with the top, any size without.
        pooling: without the top: None gives the last feature map, "avg" or "max" a vector for each image.
        classes: number of classes; 1000 by default. Where it is given and the weights have another head, or none, the
            head is new, with a warning; where it is not, such weights are refused. For another number of input
            channels than 3 the kernel of the stem is adapted: summed for one, repeated and scaled for more.
        classifier_activation: None gives logits.
        form: "a", "b" or "c" of the paper's Figure 3, equal functions; or "sliced", the seed's.
        name: of the model; by default the variant's.

    Raises:
        ValueError: an unknown variant, form or pooling, a malformed shape, no class, an activation that the classifier
            of loaded weights was not trained with (softmax and None are allowed), or weights that do not fit
            (WeightsError: tensors that only the file has are listed with +, those that it lacks with -).

    >>> ResNeXt("resnext50_32x4d").count_params()
    25097128
    """
    variant = get_variant(variant) if isinstance(variant, str) else variant
    check("form", form, FORMS)
    check("pooling", pooling, (None, *POOLINGS))
    if include_top and pooling:
        raise ArgumentError(f"`pooling` is for include_top=False. Received: pooling={pooling!r} with the top.")
    new_head, classes = classes is not None, 1000 if classes is None else classes
    if not isinstance(classes, int) or classes < 1:
        raise ArgumentError(f"`classes` must be a whole number, at least 1. Received: {classes!r}")
    if weights is not None and include_top:
        check("classifier_activation", classifier_activation, (None, "softmax"))
    if input_tensor is None:
        input_tensor = keras.Input(image_shape(variant, input_shape, include_top))

    arguments = {
        "variant": dataclasses.asdict(variant),
        "include_top": include_top,
        "pooling": pooling,
        "classes": classes,
        "classifier_activation": classifier_activation,
        "form": form,
    }
    with weights_for(variant, weights, input_tensor, classes if include_top else None, form, new_head) as loaded:
        *_, x = stage_outputs(input_tensor, variant, form)
        if include_top:
            x = head(x, classes, classifier_activation, variant.drop_rate)
        elif pooling:
            x = POOLINGS[pooling](dtype=head_dtype(), name=f"{pooling}_pool")(x)
        model = functional_model(ResNeXtModel, input_tensor, x, name or variant.name, arguments)
        if loaded:
            assign(model, loaded)
    return model


@contextlib.contextmanager
def weights_for(variant: Variant, weights, input_tensor, classes: int | None, form: str, new_head: bool = False):
    """The weights for a network, checked before it is built; None where none are asked for."""
    if weights is None:
        yield None
        return
    source = default_weights(variant.name) if weights == "imagenet" else weights
    expected = variant_shapes(variant, input_tensor.shape[channel_axis()], classes, form)
    with open_checked(source, expected, variant, new_head) as loaded, filled_later():
        yield loaded


def functional_model(kind: type[ResNeXtModel], input_tensor, outputs, name: str, arguments: dict):
    inputs = keras.utils.get_source_inputs(input_tensor)
    model = kind(inputs if len(inputs) > 1 else inputs[0], outputs, name=name)
    model.arguments = arguments
    return model


def stage_outputs(x, variant: Variant, form: str) -> list:
    """The last feature map of every stage: of the stem before its pool, and of stages 2, 3, ..."""
    outputs = [stem(x, variant)]
    x = stem_pool(outputs[0], variant) if variant.stem == "imagenet" else outputs[0]
    before = 0
    for stage in variant.stages:
        x = residual_stage(x, stage, variant, form, before)
        outputs.append(x)
        before += stage.blocks
    return outputs


def stem(x, variant: Variant):
    """Stage 1: 7x7 with stride 2 or three 3x3 (Table 1; ResNet-C), or one 3x3 for 32x32 images (section 5.2)."""
    imagenet = variant.stem == "imagenet"
    kernel_size = 7 if imagenet and len(variant.stem_channels) == 1 else 3
    for number, filters in enumerate(variant.stem_channels, 1):
        strides = 2 if imagenet and number == 1 else 1
        name = stem_name(variant, number)
        x = convolution_norm_activation(x, filters, kernel_size, name, variant.activation, strides=strides)
    return x


def stem_pool(x, variant: Variant):
    """The pool with which conv2 begins: 3x3 with stride 2 (Table 1), or 2x2 averages."""
    if variant.anti_aliasing:
        return layers.AveragePooling2D(2, name="stem_pool")(x)
    border = {"padded": ((1, 1), (1, 1)), "ceil": ((0, 1), (0, 1))}[variant.stem_pool]
    if variant.activation == "relu":  # it leaves nothing below zero, so zeros never win
        x = layers.ZeroPadding2D(border, name="stem_pool_pad")(x)
    else:
        rows, columns = border
        widths = [(0, 0), rows, columns]
        widths.insert(channel_axis() % 4, (0, 0))
        x = ops.pad(x, widths, constant_values=-math.inf)
    return MaxPooling2D(3, 2, name="stem_pool")(x)


def residual_stage(x, stage: Stage, variant: Variant, form: str, before: int = 0):
    """Blocks of one spatial size, after so many blocks of other stages; the first changes the shape."""
    for block in range(1, stage.blocks + 1):
        first = block == 1
        paths = Block(
            variant.cardinality,
            stage.group_width,
            stage.channels,
            strides=stage.strides if first else 1,
            dilation=stage.first_dilation if first else stage.dilation,
            stage_dilation=stage.dilation,
            block=variant.block,
            attention=variant.attention,
            anti_aliasing=variant.anti_aliasing,
            activation=variant.activation,
            last_gamma=variant.last_gamma,
            drop_path=variant.drop_path * (before + block - 1) / max(1, sum(variant.blocks) - 1),
        )
        name = f"stage{stage.number}_block{block}"
        if downsamples(variant, stage, x.shape[channel_axis()], paths.strides):
            x = downsampling_block(x, paths, name, form, variant.shortcut)
        else:
            x = identity_block(x, paths, name, form)
    return x


def head(x, classes: int, activation: str | None, drop_rate: float = 0.0):
    """Global average pooling, dropout and the classifier."""
    x = layers.GlobalAveragePooling2D(dtype=head_dtype(), name="avg_pool")(x)
    if drop_rate:
        x = layers.Dropout(drop_rate, dtype=head_dtype(), name="dropout")(x)
    return layers.Dense(classes, activation=activation, dtype=head_dtype(), name="predictions")(x)


def head_dtype() -> str:
    return "float64" if keras.config.dtype_policy().compute_dtype == "float64" else "float32"


def image_shape(variant: Variant, input_shape, include_top: bool) -> tuple[int | None, ...]:
    channels_first = keras.config.image_data_format() == "channels_first"
    if input_shape is None:
        side = variant.image_size if include_top else None
        return (3, side, side) if channels_first else (side, side, 3)
    layout = "(channels, height, width)" if channels_first else "(height, width, channels)"
    sides = [side for side in input_shape if side is not None]
    if len(input_shape) != 3 or input_shape[0 if channels_first else -1] is None or min(sides) < 1:
        raise ArgumentError(
            f"`input_shape` must be {layout}; only height and width may be None. Received: {input_shape}"
        )
    return tuple(input_shape)


def check(argument: str, value, allowed):
    if value not in allowed:
        allowed = ", ".join(map(repr, allowed))
        raise ArgumentError(f"`{argument}` must be one of {allowed}. Received: {value!r}")
