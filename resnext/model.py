"""The network: stem, stages, head (Xie et al. 2017, Table 1 and section 5.2)."""

import contextlib
import dataclasses
from pathlib import Path

import keras
from keras import layers

from resnext.blocks import (
    FORMS,
    Paths,
    convolution_norm_relu,
    downsampling_block,
    identity_block,
    projection_shortcut,
    zero_padding_shortcut,
)
from resnext.layers import MaxPooling2D
from resnext.variants import STEM_CHANNELS, Stage, Variant, get_variant
from resnext.weights import load_weights

POOLINGS = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}


@keras.saving.register_keras_serializable(package="resnext")
class ResNeXtModel(keras.Model):
    """A functional model that remembers what `ResNeXt` was asked for, also through `.keras` files."""

    arguments: dict

    @property
    def variant(self) -> Variant:
        return Variant(**{**self.arguments["variant"], "blocks": tuple(self.arguments["variant"]["blocks"])})

    @property
    def form(self) -> str:
        return self.arguments["form"]

    def get_config(self):
        return {**super().get_config(), "arguments": self.arguments}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        arguments = config.pop("arguments")
        model = super().from_config(config, custom_objects)
        model.arguments = arguments
        return model


def ResNeXt(
    variant: str | Variant,
    *,
    include_top: bool = True,
    weights: str | Path | None = None,
    input_tensor=None,
    input_shape: tuple[int | None, ...] | None = None,
    pooling: str | None = None,
    classes: int = 1000,
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
        weights: None for a new network, or a file that `save_weights` wrote.
        input_tensor: a Keras tensor to use as the image.
        input_shape: (height, width, channels) or channels first; height and width may be None. By default three
            channels, and the published size (224 or 32 pixels) with the top, any size without.
        pooling: without the top: None gives the last feature map, "avg" or "max" a vector for each image.
        classes: number of classes.
        classifier_activation: None gives logits.
        form: "a", "b" or "c" of the paper's Figure 3, equal functions; or "sliced", the seed's.
        name: of the model; by default the variant's.

    Raises:
        ValueError: an unknown variant, form or pooling, a malformed shape, no class, or weights that do not fit.

    >>> ResNeXt("resnext50_32x4d").count_params()
    25097128
    """
    variant = get_variant(variant) if isinstance(variant, str) else variant
    _check("form", form, FORMS)
    _check("pooling", pooling, (None, *POOLINGS))
    if include_top and pooling:
        raise ValueError(f"`pooling` is for include_top=False. Received: pooling={pooling!r} with the top.")
    if classes < 1:
        raise ValueError(f"`classes` must be at least 1. Received: {classes}")
    if input_tensor is None:
        input_tensor = keras.Input(_image_shape(variant, input_shape, include_top))

    x = imagenet_stem(input_tensor) if variant.stem == "imagenet" else cifar_stem(input_tensor)
    for stage in variant.stages:
        x = residual_stage(x, stage, variant, form)
    if include_top:
        x = head(x, classes, classifier_activation)
    elif pooling:
        x = POOLINGS[pooling](dtype=head_dtype(), name=f"{pooling}_pool")(x)

    inputs = keras.utils.get_source_inputs(input_tensor)
    model = ResNeXtModel(inputs if len(inputs) > 1 else inputs[0], x, name=name or variant.name)
    model.arguments = {
        "variant": dataclasses.asdict(variant),
        "include_top": include_top,
        "pooling": pooling,
        "classes": classes,
        "classifier_activation": classifier_activation,
        "form": form,
    }
    if weights is not None:
        load_weights(model, weights)
    return model


def imagenet_stem(x):
    """Stage 1, and the max-pool with which conv2 begins: 7x7 and 3x3, each with stride 2 (Table 1)."""
    x = convolution_norm_relu(x, STEM_CHANNELS, 7, "stem", strides=2)
    # Zeros do for padding: the ReLU before leaves nothing below them.
    x = layers.ZeroPadding2D(1, name="stem_pool_pad")(x)
    return MaxPooling2D(3, 2, name="stem_pool")(x)


def cifar_stem(x):
    """Stage 1 for 32x32 images: 3x3 (section 5.2)."""
    return convolution_norm_relu(x, STEM_CHANNELS, 3, "stem")


def residual_stage(x, stage: Stage, variant: Variant, form: str):
    """Blocks of one spatial size; the first changes the shape."""
    shortcut = zero_padding_shortcut if variant.shortcut == "A" else projection_shortcut
    paths = Paths(variant.cardinality, stage.group_width, stage.channels, stage.strides, variant.last_gamma)
    x = downsampling_block(x, paths, f"stage{stage.number}_block1", form, shortcut)
    paths = paths._replace(strides=1)
    for block in range(2, stage.blocks + 1):
        name = f"stage{stage.number}_block{block}"
        if variant.shortcut == "C":
            x = downsampling_block(x, paths, name, form, projection_shortcut)
        else:
            x = identity_block(x, paths, name, form)
    return x


def head(x, classes: int, activation: str | None):
    """Global average pooling and the classifier."""
    x = layers.GlobalAveragePooling2D(dtype=head_dtype(), name="avg_pool")(x)
    return layers.Dense(classes, activation=activation, dtype=head_dtype(), name="predictions")(x)


def head_dtype() -> str:
    return "float64" if keras.config.dtype_policy().compute_dtype == "float64" else "float32"


@contextlib.contextmanager
def keras_config(dtype: str, data_format: str | None = None):
    """Keras's global dtype policy and image layout inside the block; the caller's again after it."""
    before = keras.config.dtype_policy(), keras.config.image_data_format()
    keras.config.set_dtype_policy(dtype)
    keras.config.set_image_data_format(data_format or before[1])
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before[0])
        keras.config.set_image_data_format(before[1])


def _image_shape(variant: Variant, input_shape, include_top: bool) -> tuple[int | None, ...]:
    channels_first = keras.config.image_data_format() == "channels_first"
    if input_shape is None:
        side = variant.image_size if include_top else None
        return (3, side, side) if channels_first else (side, side, 3)
    layout = "(channels, height, width)" if channels_first else "(height, width, channels)"
    if len(input_shape) != 3 or input_shape[0 if channels_first else -1] is None:
        raise ValueError(f"`input_shape` must be {layout} with the channels given. Received: {input_shape}")
    return tuple(input_shape)


def _check(argument: str, value, allowed):
    if value not in allowed:
        allowed = ", ".join(map(repr, allowed))
        raise ValueError(f"`{argument}` must be one of {allowed}. Received: {value!r}")


def image_network(variant: str | Variant, classes: int, preprocessing) -> ResNeXtModel:
    """A network with logits for images of the preprocessing's size."""
    size = preprocessing.size
    return ResNeXt(variant, input_shape=(size, size, 3), classes=classes, classifier_activation=None)


def image_classifier(network: keras.Model, preprocessing) -> keras.Model:
    """The model around a network that takes images: normalising is its first operation.

    Shapes: uint8 (batch, size, size, 3) -> float (batch, classes).
    """
    size, mean, std = preprocessing.size, preprocessing.mean, preprocessing.std
    images = keras.Input((size, size, 3), dtype="uint8", name="images")
    scale, offset = [1 / (255 * s) for s in std], [-m / s for m, s in zip(mean, std, strict=True)]
    normalised = layers.Rescaling(scale, offset, dtype="float32", name="normalise")(images)
    return keras.Model(images, network(normalised), name="image_classifier")
