"""Networks as extractors of features: a pyramid of feature maps, and stages whose weights stay as they are."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras

from resnext.errors import ArgumentError
from resnext.model.blocks import FORMS
from resnext.model.network import ResNeXtModel, check, functional_model, image_shape, stage_outputs, weights_for
from resnext.variants.naming import get_variant
from resnext.variants.variant import Variant
from resnext.weights.load import assign


class Level(NamedTuple):
    """One feature map of a pyramid."""

    stage: int
    stride: int  # pixels of the image for one of the map
    channels: int


@keras.saving.register_keras_serializable(package="resnext")
class Backbone(ResNeXtModel):
    """A network that gives the feature maps of several stages, and says what they are."""

    @property
    def pyramid(self) -> tuple[Level, ...]:
        """Stage, stride and channels of each output, in their order."""
        return tuple(_levels(self.variant)[stage] for stage in self.arguments["out_stages"])


def backbone(
    variant: str | Variant,
    *,
    weights: str | Path | None = None,
    out_stages: Sequence[int] = (2, 3, 4, 5),
    output_stride: int | None = None,
    input_tensor=None,
    input_shape: tuple[int | None, ...] | None = None,
    form: str = "c",
    name: str | None = None,
) -> Backbone:
    """Build a network without a head that gives a pyramid of feature maps, for detection, segmentation, retrieval.

    Args:
        variant: as in `ResNeXt`.
        weights: as in `ResNeXt`; a head in the file is left out.
        out_stages: whose last feature maps to give: 1 is the stem before its pool, 2 to 5 the residual stages.
        output_stride: 8, 16 or 32: the largest stride; stages after it dilate instead. By default the variant's, which
            is 32 for every name.
        input_tensor: as in `ResNeXt`.
        input_shape: as in `ResNeXt`; by default three channels, any size.
        form: as in `ResNeXt`.
        name: of the model; by default the variant's.

    Returns:
        A model whose outputs are a list, (batch, height / stride, width / stride, channels) each, or for one stage its
        map alone; `model.pyramid` has their stages, strides and channels.

    Raises:
        ValueError: as `ResNeXt`, or a stage that the network does not have, or has once already.

    >>> backbone("resnext50_32x4d", out_stages=(3, 5), output_stride=16).pyramid
    (Level(stage=3, stride=8, channels=512), Level(stage=5, stride=16, channels=2048))
    """
    variant = get_variant(variant) if isinstance(variant, str) else variant
    variant = dataclasses.replace(variant, output_stride=output_stride or variant.output_stride)
    check("form", form, FORMS)
    levels, stages = _levels(variant), tuple(out_stages)
    if not stages or len(set(stages)) < len(stages) or not set(stages) <= set(levels):
        raise ArgumentError(
            f"`out_stages` must be different stages of {', '.join(map(str, levels))}. Received: {out_stages}"
        )
    if input_tensor is None:
        input_tensor = keras.Input(image_shape(variant, input_shape, include_top=False))
    with weights_for(variant, weights, input_tensor, None, form) as loaded:
        outputs = stage_outputs(input_tensor, variant, form)
        outputs = [outputs[stage - 1] for stage in stages]
        arguments = {"variant": dataclasses.asdict(variant), "out_stages": list(stages), "form": form}
        model = functional_model(Backbone, input_tensor, outputs, name or variant.name, arguments)
        if loaded:
            assign(model, loaded)
    return model


def _levels(variant: Variant) -> dict[int, Level]:
    stem = Level(1, 2 if variant.stem == "imagenet" else 1, variant.stem_channels[-1])
    return {1: stem} | {
        stage.number: Level(stage.number, stage.output_stride, stage.channels) for stage in variant.stages
    }


def freeze(model: keras.Model, stages: Sequence[int]) -> keras.Model:
    """Keep the weights of stages as they are in training; their batch norm uses its moving statistics, and keeps them.

    Args:
        model: what `ResNeXt` or `backbone` built. It is changed; compile it after this.
        stages: 1 is the stem, 2 to 5 the residual stages. The others, and the head, stay as they were.

    Returns:
        The model.

    Raises:
        ValueError: a stage that the model does not have.

    >>> from resnext import ResNeXt
    >>> network = freeze(ResNeXt("resnext14_2x4d", include_top=False), stages=(1, 2))
    >>> network.get_layer("stage2_block1_transform_3x3_norm").trainable
    False
    """
    prefixes = {stage: "stem" if stage == 1 else f"stage{stage}_" for stage in stages}
    names = [layer.name for layer in model.layers]
    for stage, prefix in prefixes.items():
        if not any(name.startswith(prefix) for name in names):
            raise ArgumentError(
                f"`stages` must be stages of the network; 1 is the stem. {model.name} has no stage {stage}."
            )
    for layer in model.layers:
        if layer.name.startswith(tuple(prefixes.values())):
            layer.trainable = False
    return model
