"""The network: stem, stages, head (Xie et al. 2017, Table 1 and section 5.2)."""

import contextlib
import dataclasses
import math
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from resnext.errors import ArgumentError
from resnext.images.preprocessing import Preprocessing
from resnext.layers.convolution import GroupedConv2D
from resnext.layers.initializer import GlorotUniform, filled_later
from resnext.layers.max_pooling import MaxPooling2D
from resnext.layers.positions import PositionsApart
from resnext.model.blocks import FORMS, channel_axis, convolution_norm_activation, residual_stage
from resnext.variants.departures import PAPER, Departures
from resnext.variants.layer_table import variant_shapes
from resnext.variants.names import as_variant
from resnext.variants.variant import Variant
from resnext.weights.hub import check_source
from resnext.weights.load import Checked, assign, check_weights
from resnext.weights.published import default_weights
from resnext.weights.weights_file import WeightsFile, open_weights

POOLINGS = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}


@keras.saving.register_keras_serializable(package="resnext")
class ResNeXtModel(keras.Model):
    """A functional model that remembers the arguments of `ResNeXt`, even in `.keras` files."""

    @property
    def arguments(self) -> dict:
        """The arguments of `ResNeXt`. The first convolution holds them, so clones, made layer by layer, keep them."""
        origins = (layer.origin for layer in self.layers if isinstance(layer, GroupedConv2D))
        return next((origin for origin in origins if origin is not None), {})

    @arguments.setter
    def arguments(self, arguments: dict) -> None:
        next(layer for layer in self.layers if isinstance(layer, GroupedConv2D)).origin = arguments

    @property
    def variant(self) -> Variant:
        return with_form(Variant.from_json(self.arguments["variant"]), self.arguments["form"])[0]

    @property
    def form(self) -> str:
        """The form of its blocks: "a", "b" or "c"; form b of a sliced network is "sliced"."""
        variant, form = with_form(self.variant, self.arguments["form"])
        return "sliced" if variant.sliced and form == "b" else form

    @property
    def preprocessing(self) -> Preprocessing | None:
        """How images are prepared for the weights; None if unknown and not set."""
        document = self.arguments.get("preprocessing")
        return None if document is None else Preprocessing.from_json(document)

    @preprocessing.setter
    def preprocessing(self, preprocessing: Preprocessing | None) -> None:
        self.arguments["preprocessing"] = None if preprocessing is None else preprocessing.to_json()

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, for the file of the weights; None until they are set."""
        names = self.arguments.get("class_names")
        return None if names is None else tuple(names)

    @class_names.setter
    def class_names(self, names: Sequence[str]) -> None:
        self.arguments["class_names"] = list(names)

    @property
    def labels(self) -> str:
        """The number of classes that an image has, "one" or "several", for the file of the weights."""
        return self.arguments.get("labels", "one")

    @labels.setter
    def labels(self, labels: str) -> None:
        if labels != "one":
            self.arguments["labels"] = labels

    def quantize(self, mode=None, config=None, filters=None, **arguments):
        """Quantise the classifier: Keras quantises dense layers and has no quantised convolutions (docs/keras.md)."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Layer .* does not have a `quantize` method")
            super().quantize(mode, config, filters, **arguments)
        warnings.warn(
            f"quantize({mode!r}) quantises the classifier only: Keras has no quantised convolutions. For int8 "
            "convolutions export the network and quantise it with ONNX Runtime or OpenVINO.",
            stacklevel=2,
        )

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
    """Build a ResNeXt; the arguments have the same meaning as in `keras.applications`.

    It accepts normalised images (see `preprocess_input`), (batch, height, width, channels) or, if
    `keras.config.image_data_format()` is so, channels first; its layers follow `keras.config.dtype_policy()`. The head
    computes in at least float32, so half precision costs no digits of the probabilities.

    Args:
        variant: name such as `"resnext50_32x4d"`, listed by `list_variants` or not, or a `Variant`.
        include_top: whether to end with global average pooling and the classifier.
        weights: None for random weights; a file: safetensors or PyTorch's with the names of torchvision or timm, the
            `.h5` of keras-applications or qubvel, or a file from `save_weights`; a run folder (its best weights), or a
            folder with timm's config.json and model.safetensors; `hf:OWNER/NAME` on huggingface.co; the tag of
            published weights, such as `"resnext50_32x4d.a1_in1k"`; or `"imagenet"`, the first tag whose licence allows
            every use.
        input_tensor: Keras tensor to use as the image.
        input_shape: (height, width, channels) or channels first; height and width may be None. By default three
            channels, and the published size (224 or 32 pixels) with the top, any size without.
        pooling: without the top, None returns the last feature map, "avg" or "max" a vector for each image.
        classes: number of classes; by default that of the weights or, without weights, 1000, or 10 with the CIFAR stem.
            If it is passed and the weights have another head, or none, the head is new, with a warning. If the number
            of input channels is not 3, the kernel of the stem is adapted: summed for one, repeated and scaled for more.
        classifier_activation: activation of the classifier; None returns logits.
        form: "a", "b" or "c" of the paper's Figure 3, equal functions; or "sliced", form b of the sliced variant.
        name: name of the model; by default the variant's.

    Raises:
        ArgumentError: unknown variant, form or pooling, malformed shape, no class, or an activation that the classifier
            of loaded weights was not trained with (softmax and None are allowed).
        WeightsError: weights that do not fit: tensors that only the file has are listed with +, those that it lacks
            with -.

    >>> ResNeXt("resnext50_32x4d").count_params()
    25097128
    """
    one_of("form", form, FORMS)
    variant, form = with_form(as_variant(variant), form)
    new_head, classes = classes is not None, _as_int(classes)
    _check_arguments(include_top, weights, pooling, classes, classifier_activation)
    if input_tensor is None:
        input_tensor = keras.Input(image_shape(variant, input_shape, include_top))
    with open_weights_for(variant, weights) as file:
        classes = classes or (file and file.classes) or variant.default_classes
        arguments = {
            "variant": dataclasses.asdict(variant),
            "include_top": include_top,
            "pooling": pooling,
            "classes": classes,
            "classifier_activation": classifier_activation,
            "form": form,
        }
        if include_top and variant.departures.keeps_positions and None in input_tensor.shape[1:]:
            raise ArgumentError(
                f"{variant.name}: its classifier has weights for each position, so that its images have one size. "
                "Train and evaluate at one size; in Python, pass it as `input_shape`."
            )
        loaded = file and weights_from(file, variant, input_tensor, classes if include_top else None, new_head)
        x = stage_outputs(input_tensor, variant, form)[variant.stages[-1].number]
        if include_top:
            x = head(x, classes, classifier_activation, variant.drop_rate, variant.departures)
        elif pooling:
            x = POOLINGS[pooling](dtype=head_dtype(), name=f"{pooling}_pool")(x)
        return functional_model(ResNeXtModel, input_tensor, x, name or variant.name, arguments, loaded)


def _as_int(number):
    """Return NumPy's integers as Python's; anything else unchanged."""
    return int(number) if isinstance(number, np.integer) else number


def with_form(variant: Variant, form: str) -> tuple[Variant, str]:
    """Return the variant that a form makes of another, and its form "a", "b" or "c": the sliced one is form b."""
    return (dataclasses.replace(variant, sliced=True), "b") if form == "sliced" else (variant, form)


def _check_arguments(include_top, weights, pooling, classes, classifier_activation) -> None:
    one_of("pooling", pooling, (None, *POOLINGS))
    if include_top and pooling:
        raise ArgumentError(f"`pooling` is for include_top=False. Received: pooling={pooling!r} with the top.")
    if classes is not None and (not isinstance(classes, int) or isinstance(classes, bool) or classes < 1):
        raise ArgumentError(f"`classes` must be a whole number, at least 1. Received: {classes!r}")
    if weights is not None and include_top:
        one_of("classifier_activation", classifier_activation, (None, "softmax"))


@contextlib.contextmanager
def open_weights_for(variant: Variant, weights: str | Path | None) -> Iterator[WeightsFile | None]:
    """Open the weights for a network, whose variables get their values later; None if no weights are requested."""
    if weights is None:
        yield None
        return
    check_source(weights)
    source = default_weights(variant.name) if weights == "imagenet" else weights
    with open_weights(source, variant) as file, filled_later():
        yield file


def weights_from(
    file: WeightsFile, variant: Variant, input_tensor, classes: int | None, new_head: bool = False
) -> Checked:
    """Return the weights of a file for a network that is not built yet. Raises WeightsError."""
    sides = [*input_tensor.shape[1:]]
    channels = sides.pop(-1 if channel_axis() == -1 else 0)
    expected = variant_shapes(variant, channels, classes, None if None in sides else (sides[0], sides[1]))
    return check_weights(file, expected, variant, new_head)


def functional_model(
    kind: type[ResNeXtModel], input_tensor, outputs, name: str, arguments: dict, loaded: Checked | None
):
    """Build a model of a class from its inputs and outputs, and assign any loaded weights."""
    inputs = keras.utils.get_source_inputs(input_tensor)
    model = kind(inputs if len(inputs) > 1 else inputs[0], outputs, name=name)
    model.arguments = arguments
    if loaded:
        assign(model, loaded)
        model.preprocessing = loaded.preprocessing
    return model


def stage_outputs(x, variant: Variant, form: str) -> dict:
    """Return the last feature map of every stage by its number; 1 is the stem, before its pool."""
    outputs = {1: stem(x, variant)}
    x = stem_pool(outputs[1], variant) if variant.stem == "imagenet" else outputs[1]
    for stage in variant.stages:
        x = outputs[stage.number] = residual_stage(x, variant.blocks_of(stage), form)
    return outputs


def stem(x, variant: Variant):
    """Apply stage 1: 7x7 with stride 2 or three 3x3 (Table 1; ResNet-C), or one 3x3 for CIFAR (section 5.2)."""
    for name, filters, kernel_size, strides in variant.stem_convolutions:
        x = convolution_norm_activation(
            x, filters, kernel_size, name, variant.activation, strides=strides, like=variant.departures
        )
    return x


def stem_pool(x, variant: Variant):
    """Apply the pool at the start of conv2: 3x3 with stride 2 (Table 1), or 2x2 averages."""
    if variant.anti_aliasing:
        return layers.AveragePooling2D(2, name="stem_pool")(x)
    if not variant.departures.pads_pool:
        if any(side is not None and side < 3 for side in x.shape[1:]):
            raise ArgumentError(f"{variant.name}: its images are 5 pixels wide and high at least.")
        return MaxPooling2D(3, 2, name="stem_pool")(x)
    border = {"padded": ((1, 1), (1, 1)), "ceil": ((0, 1), (0, 1))}[variant.stem_pool]
    if variant.activation == "relu":  # it leaves nothing below zero, so padded zeros never win
        x = layers.ZeroPadding2D(border, name="stem_pool_pad")(x)
    else:
        rows, columns = border
        widths = [(0, 0), rows, columns]
        widths.insert(channel_axis() % 4, (0, 0))
        x = ops.pad(x, widths, constant_values=-math.inf)
    return MaxPooling2D(3, 2, name="stem_pool")(x)


def head(x, classes: int, activation: str | None, drop_rate: float = 0.0, like: Departures = PAPER):
    """Apply global average pooling, dropout and the classifier; `like` may let it see averages of 2x2 fields apart."""
    if like.keeps_positions:
        x = layers.AveragePooling2D(2, padding="same", dtype=head_dtype(), name="field_pool")(x)
        x = PositionsApart(dtype=head_dtype(), name="positions")(x)
    x = layers.GlobalAveragePooling2D(dtype=head_dtype(), name="avg_pool")(x)
    if drop_rate:
        x = layers.Dropout(drop_rate, dtype=head_dtype(), name="dropout")(x)
    return layers.Dense(
        classes,
        activation=activation,
        use_bias=like.head_has_bias,
        kernel_initializer=GlorotUniform(),
        dtype=head_dtype(),
        name="predictions",
    )(x)


def head_dtype() -> str:
    """Return the dtype of the head: at least float32."""
    return "float64" if keras.config.dtype_policy().compute_dtype == "float64" else "float32"


def image_shape(variant: Variant, input_shape, include_top: bool) -> tuple[int | None, ...]:
    """Return the shape of the input if no tensor is passed. Raises ArgumentError."""
    channels_first = keras.config.image_data_format() == "channels_first"
    if input_shape is None:
        side = variant.image_size if include_top else None
        return (3, side, side) if channels_first else (side, side, 3)
    layout = "(channels, height, width)" if channels_first else "(height, width, channels)"
    first, last = (input_shape[0], input_shape[-1]) if len(input_shape) == 3 else (None, None)
    channels, side = (first, last) if channels_first else (last, first)
    if channels and side and side <= 4 < channels:
        other = "channels_last" if channels_first else "channels_first"
        raise ArgumentError(
            f"`input_shape` must be {layout}. Received: {input_shape}, which looks like {other}; for that layout call "
            f"keras.config.set_image_data_format({other!r}) before."
        )
    sides = [side for side in input_shape if side is not None]
    if len(input_shape) != 3 or input_shape[0 if channels_first else -1] is None or min(sides) < 1:
        raise ArgumentError(
            f"`input_shape` must be {layout}; only height and width may be None. Received: {input_shape}"
        )
    return tuple(input_shape)


def one_of(argument: str, value, allowed) -> None:
    """Raise ArgumentError for a value that is not allowed."""
    if value not in allowed:
        allowed = ", ".join(map(repr, allowed))
        raise ArgumentError(f"`{argument}` must be one of {allowed}. Received: {value!r}")
