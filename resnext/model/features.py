"""Networks as feature extractors: a pyramid of feature maps, and frozen stages."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import keras

from resnext.errors import ArgumentError
from resnext.model.blocks import FORMS
from resnext.model.network import (
    ResNeXtModel,
    functional_model,
    image_shape,
    one_of,
    open_weights_for,
    stage_outputs,
    weights_from,
    with_form,
)
from resnext.variants.layer_table import stage_of
from resnext.variants.names import as_variant
from resnext.variants.variant import Variant


class Level(NamedTuple):
    """One feature map of a pyramid."""

    stage: int
    stride: int  # image pixels per position of the map
    channels: int


@keras.saving.register_keras_serializable(package="resnext")
class Backbone(ResNeXtModel):
    """A network that returns the feature maps of several stages, and describes them."""

    @property
    def pyramid(self) -> tuple[Level, ...]:
        """Stage, stride and channels of each output, in their order."""
        return tuple(_levels(self.variant)[stage] for stage in self.arguments["out_stages"])

    @property
    def pyramid_outputs(self) -> dict:
        """The outputs as KerasHub's models expect them of an `image_encoder`: "Pn" is the last with stride 2**n."""
        by_stage = sorted(zip(self.pyramid, self.outputs, strict=True), key=lambda pair: pair[0].stage)
        return {f"P{level.stride.bit_length() - 1}": output for level, output in by_stage}


def backbone(
    variant: str | Variant,
    *,
    weights: str | Path | None = None,
    out_stages: Sequence[int] | None = None,
    output_stride: int | None = None,
    input_tensor=None,
    input_shape: tuple[int | None, ...] | None = None,
    form: str = "c",
    name: str | None = None,
) -> Backbone:
    """Build a network without a head that returns a pyramid of feature maps, for detection, segmentation, retrieval.

    Args:
        variant: as in `ResNeXt`.
        weights: as in `ResNeXt`; a head in the file is left out.
        out_stages: stages whose last feature map to return: 1 is the stem before its pool, 2 to 5 are residual. By
            default all residual stages.
        output_stride: 8, 16 or 32: the largest stride; later stages dilate instead. By default the variant's, which
            is 32 for every name but `resnext50_wenga`, whose own is 64.
        input_tensor: as in `ResNeXt`.
        input_shape: as in `ResNeXt`; by default three channels, any size.
        form: as in `ResNeXt`.
        name: name of the model; by default the variant's.

    Returns:
        A model whose outputs are a list, (batch, height / stride, width / stride, channels) each, or, for one stage,
        its map alone; `model.pyramid` lists their stages, strides and channels.

    Raises:
        ArgumentError, WeightsError: as `ResNeXt`; or a stage that the network does not have, or that is named twice.

    >>> backbone("resnext50_32x4d", out_stages=(3, 5), output_stride=16).pyramid
    (Level(stage=3, stride=8, channels=512), Level(stage=5, stride=16, channels=2048))
    """
    one_of("form", form, FORMS)
    variant, form = with_form(as_variant(variant), form)
    if output_stride and variant.lineage:
        raise ArgumentError(f"`output_stride` can't be chosen for {variant.name}. Received: {output_stride}")
    variant = dataclasses.replace(variant, output_stride=output_stride or variant.output_stride)
    levels = _levels(variant)
    out_stages = (out_stages,) if isinstance(out_stages, int) else out_stages
    stages = tuple(each.number for each in variant.stages) if out_stages is None else tuple(out_stages)
    if not stages or len(set(stages)) < len(stages) or not set(stages) <= set(levels):
        raise ArgumentError(
            f"`out_stages` must be different stages of {', '.join(map(str, levels))}. Received: {out_stages}"
        )
    if input_tensor is None:
        input_tensor = keras.Input(image_shape(variant, input_shape, include_top=False))
    with open_weights_for(variant, weights) as file:
        loaded = file and weights_from(file, variant, input_tensor, None)
        outputs = stage_outputs(input_tensor, variant, form)
        arguments = {"variant": dataclasses.asdict(variant), "out_stages": list(stages), "form": form}
        chosen = [outputs[stage] for stage in stages]
        return functional_model(Backbone, input_tensor, chosen, name or variant.name, arguments, loaded)


def _levels(variant: Variant) -> dict[int, Level]:
    first, last = variant.stem_convolutions[0], variant.stem_convolutions[-1]
    stem = Level(1, first.strides, last.filters)
    return {1: stem} | {
        stage.number: Level(stage.number, stage.output_stride, stage.channels) for stage in variant.stages
    }


def freeze(model: keras.Model, stages: Sequence[int]) -> keras.Model:
    """Keep the weights of stages unchanged in training; their batch norm uses its moving statistics and keeps them.

    Args:
        model: network that `ResNeXt` or `backbone` built. It is modified; compile it afterwards.
        stages: stages to freeze: 1 is the stem, 2 to 5 are the residual stages. The others, and the head, are left
            unchanged.

    Returns:
        The model.

    Raises:
        ArgumentError: the model does not have such a stage.

    >>> from resnext import ResNeXt
    >>> network = freeze(ResNeXt("resnext14_2x4d", include_top=False), stages=(1, 2))
    >>> network.get_layer("stage2_block1_transform_3x3_norm").trainable
    False
    """
    if isinstance(stages, int | str):
        raise ArgumentError(f"`stages` must be a sequence of numbers such as (1, 2). Received: {stages!r}")
    present = {stage_of(layer.name) for layer in model.layers}
    if not any(present):
        raise ArgumentError(
            f"`model` must be a network that ResNeXt or backbone built; freeze the one inside {model.name}"
        )
    for stage in stages:
        if stage not in present:
            known = ", ".join(str(each) for each in sorted(each for each in present if each))
            allowed = f"among those of {model.name}: {known} (1 is the stem)"
            raise ArgumentError(f"`stages` must be {allowed}. Received: {stage}")
    for layer in model.layers:
        if stage_of(layer.name) in stages:
            layer.trainable = False
    return model
