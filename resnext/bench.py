"""Measurements of this machine: single layers by every route, and the path from files to batches."""

from __future__ import annotations

import dataclasses
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from resnext.backend import import_keras
from resnext.errors import DataError
from resnext.recipes.complete import complete
from resnext.recipes.recipe import Recipe, evaluation_preprocessing, training_preprocessing

REPEATS = 7
SECONDS = 2.0  # how long each part of the data pipeline is measured


class Timing(NamedTuple):
    """The median, lowest and highest of REPEATS runs."""

    median: float
    lowest: float
    highest: float

    @classmethod
    def of(cls, values: list[float]) -> Timing:
        return cls(statistics.median(values), min(values), max(values))


@dataclass(frozen=True)
class ConvolutionTiming:
    """The time of a convolution by one route, forward and backward, in milliseconds."""

    side: int  # side of the images in pixels
    filters: int
    groups: int
    kernel_size: int
    route: str
    chosen: bool  # whether a network uses this route here
    milliseconds: Timing


@dataclass(frozen=True)
class DataTiming:
    """The speed of one part of the path from files to batches, in images per second."""

    part: str
    threads: int
    images_per_second: float


@dataclass(frozen=True)
class EngineTiming:
    """The speed of a trained network in one engine, and its accuracy if it was evaluated."""

    engine: str
    milliseconds: Timing  # for one image
    batch_size: int
    images_per_second: Timing  # in batches
    top1: float | None


def bench_engines(model: str, data: str | None = None, batch_size: int = 16) -> list[EngineTiming]:
    """Time a trained network in every installed engine, in turns: one image, and batches, from memory.

    Args:
        model: as in `evaluate`.
        data: labelled images to evaluate each engine on, as in `evaluate`.
        batch_size: images in a batch.

    Raises:
        ArgumentError, RunError, WeightsError, DataError: as in `evaluate`.

    >>> [timing.engine for timing in bench_engines("runs/signs")]  # doctest: +SKIP
    ['keras', 'onnxruntime', 'openvino', 'openvino-bfloat16']
    """
    import numpy as np

    from resnext.engines.engine import EngineName
    from resnext.engines.open import installed_engines
    from resnext.inference.evaluate import evaluate
    from resnext.inference.model import Model
    from resnext.inference.options import EvaluationOptions

    opened = Model.open(model)
    names: list[EngineName | None] = [None] if opened.file else [*installed_engines()]
    if "openvino" in names:
        names.append("openvino-bfloat16")
    size = opened.preprocessing.size
    images = np.random.default_rng(0).integers(0, 256, (batch_size, size, size, 3), np.uint8)
    engines = {name or opened.engine_name: opened.with_engine(name).engines()[0] for name in names}
    seconds = {(name, count): [] for name in engines for count in (1, batch_size)}
    for _ in range(REPEATS):
        for name, count in seconds:
            step = partial(engines[name].outputs, images[:count])
            step()  # compiles, and prepares for a new number of images
            seconds[name, count].append(_seconds(step))
    options = [EvaluationOptions(engine=name) for name in names]
    evaluations = [evaluate(opened, data, options=each) if data else None for each in options]
    accuracies = [None if each is None else each.metrics()[each.MAIN] for each in evaluations]
    return [
        EngineTiming(
            name,
            Timing.of([1000 * each for each in seconds[name, 1]]),
            batch_size,
            Timing.of([batch_size / each for each in seconds[name, batch_size]]),
            accuracy,
        )
        for name, accuracy in zip(engines, accuracies, strict=True)
    ]


def bench_conv(
    variant: str = "resnext50_32x4d", batch_size: int = 8, dtype: str = "float32", native: bool = False
) -> list[ConvolutionTiming]:
    """Time the convolutions of each stage's blocks, forward and backward, by every route of the backend.

    Args:
        variant: network whose convolutions to time.
        batch_size: images in a batch.
        dtype: Keras dtype policy.
        native: whether to time Keras's own route even if it takes seconds, as grouped convolutions do on TensorFlow and
            JAX.

    Returns:
        A ConvolutionTiming for each shape and route.

    >>> [timing.route for timing in bench_conv("resnext14_2x4d", batch_size=1)][:2]  # doctest: +SKIP
    ['direct', 'merged']
    """
    from resnext.variants.names import get_variant

    network = get_variant(variant)
    import_keras()
    from resnext.model.classifier import keras_config

    side = network.image_size // (4 if network.stem == "imagenet" else 1)
    timings: list[ConvolutionTiming] = []
    with keras_config(dtype, "channels_last"):
        for stage in network.stages:
            side //= stage.strides
            width = network.cardinality * stage.group_width
            for groups, kernel_size, filters in ((network.cardinality, 3, width), (1, 1, stage.channels)):
                timings += _routes(side, width, filters, groups, kernel_size, batch_size, native)
    return timings


def _routes(side, channels, filters, groups, kernel_size, batch_size, native):
    import keras
    import numpy as np

    from resnext.layers.convolution import GroupedConv2D

    backend = keras.backend.backend()
    routes = ["native", "merged", "direct" if backend != "jax" else "product"]
    if groups > 1 and backend != "torch" and not native:
        routes.remove("native")
    if backend == "jax" and kernel_size > 1:
        routes.remove("product")
    layer = GroupedConv2D(filters, kernel_size, padding="same", groups=groups, use_bias=False)
    layer.build((batch_size, side, side, channels))
    images = np.random.default_rng(0).normal(size=(batch_size, side, side, channels)).astype("float32")
    images = keras.ops.cast(images, layer.compute_dtype)
    chosen = layer.route
    for route in routes:
        layer.route = route
        step = forward_and_backward(layer, images)
        step()
        milliseconds = Timing.of([1000 * _seconds(step) for _ in range(REPEATS)])
        yield ConvolutionTiming(side, filters, groups, kernel_size, route, route == chosen, milliseconds)


def forward_and_backward(layer, images) -> Callable[[], None]:
    """Return a function that computes a layer and the gradients of its kernel and of the images, and waits for them."""
    import keras

    if keras.backend.backend() == "tensorflow":
        import tensorflow as tf

        def gradients():
            with tf.GradientTape() as tape:
                tape.watch(images)
                outputs = layer(images)
            return tape.gradient(outputs, [images, layer.kernel.value], outputs)

        return tf.function(gradients, jit_compile=False)
    if keras.backend.backend() == "jax":
        import jax

        def outputs(kernel, images):
            return layer.stateless_call([kernel], [], images)[0]

        @jax.jit
        def jax_gradients(kernel, images):
            result, backward = jax.vjp(outputs, kernel, images)
            return backward(result)

        return lambda: jax.block_until_ready(jax_gradients(layer.kernel.value, images))
    import torch

    leaf = images.detach().requires_grad_()

    def torch_gradients():
        result = layer(leaf)
        torch.autograd.grad(result, [layer.kernel.value, leaf], result)
        if result.is_cuda:
            torch.cuda.synchronize()

    return torch_gradients


def bench_data(data: str | Path, recipe: Recipe, batch_size: int = 32):
    """Time the path from image files to batches: each step on one core, and complete batches on all cores.

    Args:
        data: folder or archive of images, as for `train`.
        recipe: training recipe to use, at 224 pixels if it has no size.
        batch_size: images in a batch.

    Yields:
        A DataTiming for each part.

    Raises:
        ArgumentError: the batch size is not allowed.
        DataError: the data cannot be used or has no image files.
        ImageError: an image can't be read.

    >>> for timing in bench_data("sign-digits", get_recipe("paper-imagenet")): print(timing)  # doctest: +SKIP
    """
    import numpy as np

    from resnext.data.batches import images_per_step, reading_threads, training_batches
    from resnext.data.source import open_data

    examples = open_data(data).splits().train
    recipe = dataclasses.replace(recipe, batch_size=batch_size, accumulate=1)
    recipe = complete(recipe, images=len(examples), evaluated=0, image_size=224)
    if isinstance(examples.images, np.ndarray):
        raise DataError(f"{data} has no files to read; pass a folder of images")
    for part, work in _work_on_one_core(examples.images, recipe).items():
        yield DataTiming(part, 1, _rate(work, 1))
    batches = training_batches(examples, recipe, training_preprocessing(recipe), seed=0)
    ahead = reading_threads() + 2  # batches read before they are requested; these are not counted
    for _ in range(ahead):
        next(batches)
    images = images_per_step(examples, recipe)
    yield DataTiming("batches", reading_threads(), _rate(lambda _: next(batches), images))


def _work_on_one_core(files, recipe: Recipe) -> dict[str, Callable[[int], object]]:
    """Return the steps of the data pipeline by name, each a function of a count that makes one image."""
    import numpy as np

    from resnext.data.batches import AUGMENTATIONS, Sampler, augmentations
    from resnext.images.decode import read_image

    evaluated, trained = evaluation_preprocessing(recipe), training_preprocessing(recipe)
    plain = dataclasses.replace(recipe, **{name: type(getattr(recipe, name))() for name in AUGMENTATIONS})
    image, read, rng = evaluated.load(files[0]), Sampler(plain, trained), np.random.default_rng(0)
    parts: dict[str, Callable[[int], object]] = {
        "decode": lambda i: read_image(files[i % len(files)]),
        "for evaluation: decode, resize, crop": lambda i: evaluated.load(files[i % len(files)]),
        "for training: decode, crop, resize": lambda i: read(files[i % len(files)], rng),
    }
    for name in AUGMENTATIONS:
        for change in augmentations(dataclasses.replace(plain, **{name: getattr(recipe, name)}), trained):
            parts[name.replace("_", " ")] = lambda i, change=change: change(image, rng)
    return parts


def _rate(work: Callable[[int], object], images: int) -> float:
    """Return images per second over SECONDS, where each call makes `images` images."""
    started, calls = time.perf_counter(), 0
    while time.perf_counter() - started < SECONDS:
        work(calls)
        calls += 1
    return calls * images / (time.perf_counter() - started)


def _seconds(step: Callable[[], object]) -> float:
    started = time.perf_counter()
    step()
    return time.perf_counter() - started
