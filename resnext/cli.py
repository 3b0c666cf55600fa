"""The command line: parse, call one verb, print."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import itertools
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, NoReturn

import tyro
from tyro.conf import Positional

from resnext.backend import BACKENDS, installed_backend
from resnext.distributed import ParallelError, launched
from resnext.errors import RunError
from resnext.files import write_atomically
from resnext.recipes.naming import get_recipe
from resnext.recipes.recipe import Dtype, Recipe
from resnext.runs.run import read_run

if TYPE_CHECKING:
    from resnext.data.check import DataReport
    from resnext.training.session import Trained
    from resnext.variants.variant import Variant
    from resnext.weights.published import PublishedWeights

Weights = Literal["best", "last"]


def list_(
    pattern: Annotated[Positional[str], tyro.conf.arg(metavar="PATTERN")] = "*",
    weights: tyro.conf.FlagCreatePairsOff[bool] = False,
) -> None:
    """List the published networks with parameters, multiply-adds and published error; or published weights.

    Args:
        pattern: a shell pattern, such as 'resnext101*'.
        weights: list published weights by tag: accuracy, size, licence.
    """
    if weights:
        _list_weights(pattern)
    else:
        _list_variants(pattern)


def _list_variants(pattern: str) -> None:
    from rich.table import Table

    from resnext.variants.complexity import complexity
    from resnext.variants.naming import list_variants
    from resnext.variants.published import PUBLISHED

    names = list_variants(pattern)
    if not names:
        raise ValueError(f"no published network matches {pattern!r}: `resnext list` shows all of them")
    table = Table("variant", "parameters", "multiply-adds", "published top-1 error", box=None)
    for name in names:
        cost = complexity(name)
        errors = [f"{error.top1} % ({error.dataset})" for error in PUBLISHED[name][:1]]
        millions, billions = f"{cost.parameters / 1e6:.1f} M", f"{cost.multiply_adds / 1e9:.2f} G"
        table.add_row(name, millions, billions, *(errors or ["-"]))
    _print(table)


def _list_weights(pattern: str) -> None:
    from rich.table import Table

    from resnext.variants.complexity import complexity
    from resnext.weights.published import list_weights, published_weights

    tags = list_weights(pattern)
    if not tags:
        raise ValueError(f"no published weights match {pattern!r}: `resnext list --weights` shows all of them")
    table = Table("weights", "parameters", "top-1", "top-5", "pixels", "licence", box=None)
    for tag in tags:
        entry = published_weights()[tag]
        parameters = f"{complexity(entry.variant, classes=entry.classes).parameters / 1e6:.1f} M"
        for number, (preprocessing, top1, top5) in enumerate(entry.accuracies):
            accuracy = [f"{value} %" if value else "-" for value in (top1, top5)]
            first = (tag, parameters) if number == 0 else ("", "")
            table.add_row(*first, *accuracy, str(preprocessing.size), entry.licence if number == 0 else "")
    _print(table)


def info(variant: Annotated[Positional[str], tyro.conf.arg(metavar="VARIANT|TAG")]) -> None:
    """Show a network as Table 1 of the paper does: its stages, what they cost, its published error; or its weights.

    Args:
        variant: a name such as resnext50_32x4d, or the tag of published weights such as resnext50_32x4d.a1_in1k.
    """
    from resnext.weights.published import find_weights

    known = find_weights(variant)
    if known:
        _info_of_weights(known)
    else:
        _info_of_variant(variant)


def _info_of_weights(known: PublishedWeights) -> None:
    from resnext.variants.complexity import complexity
    from resnext.weights.published import NON_COMMERCIAL

    cost = complexity(known.variant, classes=known.classes)
    print(f"weights        {known.tag}")
    print(f"network        {known.variant}")
    print(f"classes        {known.classes:,}")
    print(f"parameters     {cost.parameters:,}")
    print(f"licence        {NON_COMMERCIAL.get(known.licence, known.licence)}")
    if known.hub:
        print(f"source         hf:{known.hub}")
    if known.url:
        print(f"file           {known.url}")
    print(f"normalisation  mean {known.preprocessing.mean}, deviation {known.preprocessing.std}")
    for preprocessing, top1, top5 in known.accuracies:
        how = f"resize {preprocessing.resize}, crop {preprocessing.size}, {preprocessing.interpolation}"
        accuracy = f"top-1 {top1} %, top-5 {top5} %" if top1 else "no published accuracy"
        print(f"ImageNet-1K    {accuracy}  ({how})")


def _info_of_variant(variant: str) -> None:
    from rich.table import Table

    from resnext.variants.complexity import complexity, stage_complexities
    from resnext.variants.naming import get_variant
    from resnext.variants.published import PUBLISHED

    network = get_variant(variant)
    descriptions = _descriptions(network)
    table = Table("stage", "output", network.name, "parameters", "multiply-adds", box=None)
    rows, cost = stage_complexities(network), complexity(network)
    for row, description in zip(rows, descriptions, strict=True):
        table.add_row(
            f"conv{row.number}",
            f"{row.height}x{row.width}",
            description.replace("[", r"\["),
            f"{row.cost.parameters:,}",
            f"{row.cost.multiply_adds:,}",
        )
    table.add_row(
        "head",
        "1x1",
        f"global average pool, {1000 if network.stem == 'imagenet' else 10}-d fc, softmax",
        f"{cost.parameters - sum(row.cost.parameters for row in rows):,}",
        f"{cost.multiply_adds - sum(row.cost.multiply_adds for row in rows):,}",
    )
    _print(table)
    print(f"depth {network.depth}, cardinality {network.cardinality}, bottleneck width {network.bottleneck_width}")
    print(f"parameters     {cost.parameters:,}  ({cost.parameters + cost.moving_statistics:,} with moving statistics)")
    print(f"multiply-adds  {cost.multiply_adds:,}")
    print(f"activations    {cost.activations:,}")
    for error in PUBLISHED.get(network.name, ()):
        top5 = "" if error.top5 is None else f", top-5 {error.top5} %"
        print(f"published error on {error.dataset}: top-1 {error.top1} %{top5}  ({error.source})")


def _descriptions(network: Variant) -> list[str]:
    """What each stage does, the stem first, as Table 1 of the paper writes it."""
    stride = ", stride 2" if network.stem == "imagenet" else ""
    if len(network.stem_channels) == 3:
        stem = ", ".join(map(str, network.stem_channels))
        descriptions = [f"3x3 three times, {stem}{stride}"]
    else:
        side = 7 if network.stem == "imagenet" else 3
        descriptions = [f"{side}x{side}, {network.stem_channels[0]}{stride}"]
    pool = "2x2 average-pool" if network.anti_aliasing else "3x3 max-pool"
    for stage in network.stages:
        width = network.cardinality * stage.group_width
        if network.block == "bottleneck":
            layers = [f"1x1, {width}", f"3x3, {width}, C={network.cardinality}", f"1x1, {stage.channels}"]
        else:
            layers = [f"3x3, {width}", f"3x3, {stage.channels}"]
        layers += [network.attention] if network.attention else []
        first = f"{pool}, stride 2; " if stage.number == 2 and network.stem == "imagenet" else ""
        descriptions.append(f"{first}[{'; '.join(layers)}] x {stage.blocks}")
    return descriptions


@dataclass(frozen=True)
class Settings(Recipe):
    __doc__ = Recipe.__doc__

    name: Annotated[str, tyro.conf.arg(name="recipe", metavar="NAME", help="how to train: see `resnext recipes`.")]

    def __post_init__(self):
        """Nothing is refused here, where tyro would say it in a box: the Recipe that is made of it does."""


def recipes() -> None:
    """List the recipes: what each one is, its epochs, and the published errors of trainings with it."""
    from rich.table import Table

    from resnext.recipes.naming import NAMES, get_entry

    table = Table("recipe", "what", "epochs", "published top-1 error", box=None)
    for name in NAMES:
        entry = get_entry(name)
        known = [f"{run.top1_error} % {run.variant}, {run.data} ({run.source})" for run in entry.published] or ["-"]
        for number, run in enumerate(known):
            first = (name, entry.title, str(entry.recipe.epochs)) if number == 0 else ("", "", "")
            table.add_row(*first, run)
    _print(table)


def train_command(recipe: Recipe) -> Callable[..., None]:
    """The command `train`, whose options for the recipe have this one's values where they are not given."""

    def train(
        data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")],
        variant: str,
        out: Path,
        settings: tyro.conf.OmitArgPrefixes[Settings] = _settings(recipe),  # noqa: B008
        weights: str | None = None,
        seed: int = 0,
        dtype: Dtype = "float32",
        remat: tyro.conf.FlagCreatePairsOff[bool] = False,
        workers: int | None = None,
        skip_bad: tyro.conf.FlagCreatePairsOff[bool] = False,
        tensorboard: tyro.conf.FlagCreatePairsOff[bool] = False,
        checkpoint_every: int | None = None,
        resume: Annotated[Path | None, tyro.conf.arg(metavar="RUN")] = None,
    ) -> None:
        """Train a network on a folder of images, or go on: resnext train --resume RUN, alone.

        Options below "settings" are the recipe's.

        Args:
            data: a folder or tar archive train/<class>/* with test/ or val/ beside it, or <class>/*; or digits,
                cifar10 or cifar100.
            variant: the network, such as resnext50_32x4d or resnext14_8x4d (see `resnext list`).
            out: the run folder, new or empty.
            settings: of the recipe.
            weights: to start from: a file, hf:OWNER/NAME, or the tag of published weights.
            seed: of the weights, the order, the augmentation and a drawn split.
            dtype: Keras dtype policy.
            remat: take less memory and more time: the same weights.
            workers: threads that make batches ahead; by default one for each core.
            skip_bad: leave out images that can't be read, one in a thousand at most.
            tensorboard: write events for TensorBoard, too.
            checkpoint_every: steps from one checkpoint to the next; by default five minutes.
            resume: the run folder of a training that was stopped or killed: it goes on as if it never had been.
        """
        from resnext.training.train import train

        _print_trained(
            train(
                data,
                variant,
                out,
                recipe=_recipe(settings),
                weights=weights,
                seed=seed,
                dtype=dtype,
                remat=remat,
                workers=workers,
                skip_bad=skip_bad,
                tensorboard=tensorboard,
                checkpoint_every=checkpoint_every,
            )
        )

    return train


def _print_trained(trained: Trained) -> None:
    print(f"test top-1 {100 * trained.test.top(1):.2f} % of {len(trained.test.labels)} images (last epoch)")
    print(
        f"best validation top-1 {100 * trained.best_validation_accuracy:.2f} % (epoch {trained.best_epoch}), "
        f"kept in {trained.folder}"
    )
    for picture in trained.pictures:
        print(f"picture: {picture}")
    if trained.pictures_missing:
        print(f"no pictures: {trained.pictures_missing}")


def resume_command(folder: Path) -> Callable[..., None]:
    """The command `train` where it goes on with a run: it has the run's values, and refuses others."""
    config = read_run(folder)

    def train(
        resume: Annotated[Path, tyro.conf.arg(metavar="RUN")],
        data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")] = config.data,
        variant: str = config.variant.name,
        out: Path = folder,
        settings: tyro.conf.OmitArgPrefixes[Settings] = _settings(config.recipe),  # noqa: B008
        weights: str | None = config.weights,
        seed: int = config.seed,
        dtype: Dtype = config.dtype,  # type: ignore[assignment]
        workers: int | None = None,
    ) -> None:
        """Go on with a training that was stopped or killed, as if it never had been.

        Args:
            resume: the run folder.
            data: where the images are now.
            variant: as it was; so are all others but the last.
            out: the same folder.
            settings: of the run.
            weights: that it started from.
            seed: of the run.
            dtype: of the run.
            workers: threads that make batches ahead; by default one for each core.
        """
        from resnext.training.train import resume as go_on

        given = {"variant": variant, "out": out.resolve(), "weights": weights, "seed": seed, "dtype": dtype}
        of_run = {"variant": config.variant.name, "out": folder.resolve(), "weights": config.weights,
                  "seed": config.seed, "dtype": config.dtype}  # fmt: skip
        for field in dataclasses.fields(Recipe):
            given[field.name], of_run[field.name] = getattr(settings, field.name), getattr(config.recipe, field.name)
        changed = [f"{name}: {of_run[name]!r}, not {value!r}" for name, value in given.items() if value != of_run[name]]
        if changed:
            raise RunError(
                f"{folder}: was begun with {'; '.join(changed)}. Leave these out, or train anew into another --out."
            )
        _print_trained(go_on(folder, data=data, workers=workers))

    return train


def preview_command(recipe: Recipe) -> Callable[..., None]:
    """The command `preview`, as `train_command` makes `train`."""

    def preview(
        data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")],
        settings: tyro.conf.OmitArgPrefixes[Settings] = _settings(recipe),  # noqa: B008
        out: Path = Path("preview.png"),
        seed: int = 0,
    ) -> None:
        """Draw a sheet of training images as a recipe makes them: the first of each row as it is.

        Args:
            data: as for train.
            settings: of the recipe.
            out: the picture to write, .png.
            seed: of the augmentation.
        """
        from resnext.data.preview import preview

        print(f"picture: {preview(data, out, recipe=_recipe(settings), seed=seed)}")

    return preview


def _settings(recipe: Recipe) -> Settings:
    return Settings(**dataclasses.asdict(recipe))


def _recipe(settings: Settings) -> Recipe:
    return Recipe(**dataclasses.asdict(settings))


def evaluate(
    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")],
    data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")],
    weights: Weights = "best",
    batch_size: int = 64,
) -> None:
    """Judge a trained network on labelled images.

    Args:
        run: a run folder.
        data: a folder with test/ or val/, or class folders themselves; or digits, cifar10, cifar100.
        weights: of which epoch.
        batch_size: images at once.
    """
    from resnext.runs.evaluate import evaluate

    evaluation = evaluate(run, data, weights=weights, batch_size=batch_size)
    shown = {int(label) for label in evaluation.labels}
    absent = [name for i, name in enumerate(evaluation.classes) if i not in shown]
    if absent:
        print(f"no images of {len(absent)} of {len(evaluation.classes)} classes: {', '.join(absent)}")
    print(f"top-1 {100 * evaluation.top(1):.2f} %")
    if len(evaluation.classes) > 5:
        print(f"top-5 {100 * evaluation.top(5):.2f} %")
    print(f"loss {evaluation.loss:.4f}, {len(evaluation.labels)} images, {weights} weights")


def check_data(data: Annotated[Positional[str], tyro.conf.arg(metavar="DATA")]) -> None:
    """Read every image of a data set, and show its classes, sizes and formats, duplicates, and what can't be read.

    Args:
        data: a folder, an archive or a word, as for train.
    """
    from resnext.data.check import check_data
    from resnext.errors import DataError, printable

    report = check_data(data)
    _print_counts(report)
    for part in report.parts:
        formats = ", ".join(f"{count:,} {name}" for name, count in part.formats.items())
        sizes = ", ".join(f"{width}x{height}" for width, height in part.sizes)
        print(f"{part.name}: {part.images:,} images ({formats}); smallest, median, largest: {sizes}")
    for what, pairs in (
        ("images of other parts that are in train, too", report.in_train_too),
        ("images with the pixels of one of another class", report.contradictions),
    ):
        print(f"{what}: {len(pairs):,}")
        for pair in pairs[:5]:
            print(f"  {printable(pair[0])} = {printable(pair[1])}")
    for fault in report.bad:
        print(f"can't be read: {fault}")
    if report.bad:
        raise DataError(
            f"{len(report.bad)} of {report.images} images can't be read; the list above says why: repair or remove them"
        )


def _print_counts(report: DataReport) -> None:
    """A row for each class, a column for each part."""
    from rich.markup import escape
    from rich.table import Table

    from resnext.errors import printable

    table = Table("class", *(part.name for part in report.parts), box=None)
    for name in report.parts[0].counts:
        table.add_row(escape(printable(name)), *(f"{part.counts[name]:,}" for part in report.parts))
    _print(table)


def compare(
    runs: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="RUN...")],
    out: Path | None = None,
) -> None:
    """Show runs side by side, and draw their curves on top of each other.

    Args:
        runs: run folders, finished or not.
        out: the picture to write, .png or .svg.
    """
    from rich.table import Table

    from resnext.runs.compare import compare

    table = Table("run", "variant", "parameters", "recipe", "epochs", "best validation", "last", "seconds", box=None)
    for run in compare(runs, out):
        best, last = run.best, run.rows[-1]
        table.add_row(
            run.name,
            run.variant,
            f"{run.parameters / 1e6:.2f} M",
            run.recipe,
            f"{len(run.rows)}",
            f"{100 * best['validation_accuracy']:.2f} % (epoch {best['epoch']:.0f})",
            f"{100 * last['validation_accuracy']:.2f} %",
            f"{sum(row.get('seconds', 0) for row in run.rows):.0f}",
        )
    _print(table)
    if out:
        print(f"picture: {out}")


def predict(
    run: Annotated[Positional[Path], tyro.conf.arg(metavar="RUN")],
    images: Annotated[Positional[tuple[Path, ...]], tyro.conf.arg(metavar="IMAGE...")],
    top: int = 5,
    weights: Weights = "best",
) -> None:
    """Name the most probable classes of images.

    Args:
        run: a run folder.
        images: image files.
        top: how many classes to name.
        weights: of which epoch.
    """
    from resnext.runs.predict import predict

    if not images:
        raise ValueError("no image given: resnext predict RUN IMAGE...")
    for image, classes in predict(run, images, top=top, weights=weights):
        print(f"{image}: " + ", ".join(f"{name} {100 * probability:.2f} %" for name, probability in classes))


def convert(
    source: Annotated[Positional[str], tyro.conf.arg(metavar="SOURCE")],
    out: Path,
    to: Annotated[str, tyro.conf.arg(metavar="resnext|torchvision|timm")] = "resnext",
) -> None:
    """Rename and rearrange weights: from torchvision, timm, WSL/SSL files or old Keras libraries, and back to PyTorch.

    Args:
        source: a file; hf:OWNER/NAME; the tag of published weights; or a run folder (its best weights).
        out: the file to write: .safetensors, or .pth for torchvision and timm.
        to: whose names and shapes the file gets.
    """
    from resnext.runs.run import WEIGHTS, read_run
    from resnext.weights.convert import convert

    if Path(source).is_dir():
        read_run(source)
        source = str(Path(source) / WEIGHTS["best"])
    converted = convert(source, out, to)
    head = "no head" if converted.classes is None else f"{converted.classes:,} classes"
    name = converted.variant.name if converted.is_named else f"blocks {converted.variant.blocks}"
    print(f"{name}, {head}, {converted.tensors} tensors: {converted.path}")


def bench(
    what: Annotated[Positional[Literal["conv", "data"]], tyro.conf.arg(metavar="conv|data")],
    data: Annotated[Positional[str], tyro.conf.arg(metavar="[DATA]")] = "",
    variant: str = "resnext50_32x4d",
    batch_size: int = 8,
    image_size: int = 224,
    recipe: str = "paper-imagenet",
    dtype: Dtype = "float32",
    native: tyro.conf.FlagCreatePairsOff[bool] = False,
    json: Path | None = None,
) -> None:
    """Measure this machine: the convolutions of a network by every route, or the way from files to batches.

    Args:
        what: conv, or data with the folder to read.
        data: a folder of images, for data.
        variant: whose convolutions, for conv.
        batch_size: images at once.
        image_size: side in pixels, for data.
        recipe: whose crops and augmentations, for data.
        dtype: Keras dtype policy, for conv.
        native: Keras's own grouped convolution as well where a step takes seconds, for conv.
        json: a file for the results, too.
    """
    from rich.table import Table

    from resnext import bench

    if batch_size < 1:
        raise ValueError(f"--batch-size must be at least 1, and is {batch_size}")
    if (what == "data") != bool(data):
        raise ValueError("resnext bench conv takes no folder, resnext bench data DATA takes one")
    if what == "conv":
        results = list(bench.bench_conv(variant, batch_size, dtype, native))
        table = Table("images", "kernel", "groups", "route", "ms forward and backward", "lowest", "highest", box=None)
        for r in results:
            route = f"{r.route} (taken)" if r.chosen else r.route
            shape = (f"{r.side}x{r.side}", f"{r.kernel_size}x{r.kernel_size}, {r.filters}", str(r.groups))
            table.add_row(*shape, route, *(f"{value:.1f}" for value in r.milliseconds))
    else:
        chosen = dataclasses.replace(get_recipe(recipe), image_size=image_size)
        results = list(bench.bench_data(data, chosen, batch_size))
        table = Table("part", "threads", "images/s", box=None)
        for r in results:
            table.add_row(r.part, str(r.threads), f"{r.images_per_second:.0f}")
    _print(table)
    if json:
        write_atomically(json, dumps([dataclasses.asdict(result) for result in results], indent=1).encode() + b"\n")


def _value_of(option: str, arguments: Sequence[str]) -> str | None:
    """What follows an option, before the line is parsed: other options take their defaults from it."""
    values = [second for first, second in itertools.pairwise(arguments) if first == option]
    values += [word.removeprefix(f"{option}=") for word in arguments if word.startswith(f"{option}=")]
    return values[-1] if values else None


def commands(arguments: Sequence[str]) -> dict[str, Callable[..., None]]:
    """All commands, with the values of the recipe, or of the run to go on with, as the defaults of their options."""
    recipe, run = get_recipe(_value_of("--recipe", arguments) or "photos"), _value_of("--resume", arguments)
    return {
        "list": list_,
        "info": info,
        "recipes": recipes,
        "train": resume_command(Path(run)) if run else train_command(recipe),
        "evaluate": evaluate,
        "compare": compare,
        "predict": predict,
        "check-data": check_data,
        "convert": convert,
        "preview": preview_command(recipe),
        "bench": bench,
    }


def main() -> None:
    """Run one command; a mistake of the user's is one line on standard error and exit status 1."""
    interrupts: list[int] = []

    def interrupt(number, frame):
        interrupts.append(number)
        raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    _speak_for_all()
    if "KERAS_BACKEND" not in os.environ:
        os.environ["KERAS_BACKEND"] = _backend_of_run(sys.argv) or installed_backend()
    if sys.argv[1:2] in (["train"], ["evaluate"], ["predict"], ["bench"]):
        _ask_for_huge_pages()
    try:
        tyro.extras.subcommand_cli_from_dict(
            commands(sys.argv),
            prog="resnext",
            description="ResNeXt for Keras 3: build, train, evaluate and use it.",
        )
        sys.stdout.flush()
    except KeyboardInterrupt as error:
        _end_interrupted(getattr(error, "exit_code", 130), str(error))
    except (ValueError, RuntimeError, ImportError) as error:
        if interrupts:  # TensorFlow hands on an interrupt as an error of its own
            _end_interrupted(130, "")
        if not _raised_by_us(error):
            raise
        print(f"resnext: {error}", file=sys.stderr)
        _end(getattr(error, "exit_code", 1))
    except BrokenPipeError:  # the reader of a pipe has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        sys.exit(f"resnext: {error}")


def _end_interrupted(exit_code: int, what: str) -> NoReturn:
    print(f"resnext: {what or 'interrupted'}", file=sys.stderr)
    _end(exit_code)


def _end(exit_code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(exit_code)  # not sys.exit: the threads that make batches can crash an interpreter that is shutting down


def _speak_for_all() -> None:
    """Of the processes of one training only the first one prints results; each one its own errors."""
    with contextlib.suppress(ParallelError):  # said by the command
        launch = launched()
        if launch and launch.rank > 0:
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - until the end


def _backend_of_run(arguments: Sequence[str]) -> str | None:
    """That of the run to go on with, if it is installed: on another one it would not go on bit for bit."""
    run = _value_of("--resume", arguments)
    try:
        backend = read_run(run).versions["backend"] if run else None
    except (RunError, KeyError):
        return None  # said when the line is parsed
    return backend if backend in BACKENDS and importlib.util.find_spec(backend) else None


def _ask_for_huge_pages() -> None:
    """Start again with memory in pages of 2 MB where the kernel leaves that to the program.

    XLA takes its memory anew for every step: with them ResNeXt-50 trains 1.2 times as fast on JAX (docs/decisions.md).
    glibc reads the setting only when a process starts.
    """
    asked = os.environ.get("GLIBC_TUNABLES")
    if os.environ["KERAS_BACKEND"] == "jax" and asked is None and sys.platform == "linux":
        os.environ["GLIBC_TUNABLES"] = "glibc.malloc.hugetlb=1"
        os.execv(sys.executable, sys.orig_argv)


def _raised_by_us(error: BaseException) -> bool:
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return frame.f_globals["__name__"].startswith("resnext.")


def _print(table) -> None:
    from rich.console import Console

    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)
