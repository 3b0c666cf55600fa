"""The single entry point to a trained network: a run, published weights, a weights file, or an exported file."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import numpy as np

from resnext.backend import import_keras
from resnext.data.imagenet_classes import imagenet_classes
from resnext.engines.description import ENSEMBLE, LABELS, Description
from resnext.engines.engine import Engine, EngineName, OutputName, check_installed
from resnext.engines.exported_file import ExportedFile
from resnext.engines.keras_engine import KerasEngine
from resnext.engines.open import CONVERTED, installed_engines, open_exported
from resnext.errors import ArgumentError, NotFoundError, WeightsError, counted
from resnext.files import similar, user_path
from resnext.images.preprocessing import Preprocessing
from resnext.inference.ensemble import names_of_members
from resnext.inference.misplaced import check_order
from resnext.metrics.labels import HALF
from resnext.metrics.probabilities import logits_of, most_probable, sigmoid
from resnext.runs.history import EpochRow
from resnext.runs.run import WEIGHTS, Run, is_run, weights_of_epoch
from resnext.variants.names import OTHER_NAMES, full_name, get_variant, list_variants
from resnext.variants.variant import Variant
from resnext.weights.hub import HUB
from resnext.weights.load import check_weights
from resnext.weights.published import PublishedWeights, default_weights, find_weights
from resnext.weights.weights_file import WeightsFile, open_weights

if TYPE_CHECKING:
    import keras

MANY = 500  # images from which on another engine is worth the seconds of converting the network
RESIZED = 0.875  # share of the shorter side that the crop keeps, if nothing is known about the images


@dataclass(frozen=True)
class Model:
    """A trained network before it is built: its variant, its classes, and the preprocessing of its images.

    >>> Model.open("runs/signs").engines()[0].outputs(images).probabilities()  # doctest: +SKIP
    """

    name: str  # as the user passed it: a run folder, a tag, a file
    variant: Variant
    classes: tuple[str, ...]
    preprocessing: Preprocessing
    source: Path  # of its weights
    dtype: str = "float32"
    temperature: float = 1.0  # calibrates its probabilities on the validation images; 1 if unknown
    wordnet_ids: tuple[str, ...] | None = None  # of ImageNet's classes, which name their folders
    run: Run | None = None
    published: PublishedWeights | None = None
    file: ExportedFile | None = None  # an exported file is its own engine
    engine: EngineName = "keras"  # what computes it, unless it is an exported file
    several: bool = False  # whether an image may have any number of classes
    thresholds: tuple[float, ...] = ()  # the probability from which it has each of them
    members: tuple[Model, ...] = ()  # of several whose logits are averaged; the other fields are those of the first

    def __repr__(self) -> str:
        classes, size = counted(len(self.classes), "class"), self.preprocessing.size
        return f"Model({self.name}: {self.variant.name}, {classes}, {size} pixels)"

    @classmethod
    def open(cls, model: str | Path | Model, weights: str | None = None) -> Model:
        """Open a trained network; no backend is imported, and nothing is built yet.

        Args:
            model: run folder; tag of published weights; `hf:OWNER/NAME`; file of weights; or name of a network, whose
                weights are the second argument. `A+B+C` averages the logits of several.
            weights: "best" (the default), "last" or a kept epoch ("epoch-0010") for a run; a file, `hf:OWNER/NAME` or a
                tag for the name of a network.

        Raises:
            ArgumentError: no such model, or a network without weights.
            RunError, WeightsError: it cannot be used.

        >>> Model.open("runs/signs").classes[:2]  # doctest: +SKIP
        ('0', '1')
        """
        if isinstance(model, Model):
            return model
        if is_run(user_path(model)):
            return _from_run(Run.open(model), weights)
        if names := names_of_members(str(model)):
            return _averaged(str(model), [Model.open(name, weights) for name in names])
        if weights in WEIGHTS:
            raise ArgumentError(f"{model}: not a run folder, and only a run has {weights} weights. {_ALLOWED}")
        name = str(model)
        if weights is None:
            if file := open_exported(user_path(model)):
                return _from_file(user_path(model), file)
            _check_source(name)
            return _from_weights(name, name, None)
        variant = get_variant(name)
        return _from_weights(f"{name} ({weights})", weights, variant)

    def engines(
        self, preprocessings: Sequence[Preprocessing] | None = None, outputs: Sequence[OutputName] = ("logits",)
    ) -> list[Engine]:
        """Build the folded network with its weights in its engine: one engine for each image size.

        Args:
            preprocessings: sizes and normalisation of the images; by default the model's own.
            outputs: "logits"; "embedding", which Keras computes; "maps", which `Outputs.activation_map` needs.

        Raises:
            ArgumentError: an exported file does not compute the requested outputs.
            RunError, WeightsError: the weights cannot be used.
        """
        sizes = preprocessings or [self.preprocessing]
        if self.file:
            return [_checked(self.file, self.name, each, outputs) for each in sizes]
        if self.engine == "keras" or "embedding" in outputs:
            built = self.build(sizes, outputs)
            return [KerasEngine(classifier, outputs, several=self.several) for classifier in built]
        from resnext.engines.onnx_file import onnx_file

        engine, built = CONVERTED[self.engine], self.in_float32().build(sizes, ("logits", "maps"))
        engines = []
        for size, classifier in zip(sizes, built, strict=True):
            labels = {LABELS: "several"} if self.several else {}
            description = Description(self.variant, self.classes, size, "uint8", labels)
            engines.append(engine(onnx_file(classifier, description, "maps" in outputs, logits=True), description))
        return engines

    def build(
        self,
        preprocessings: Sequence[Preprocessing] | None = None,
        outputs: Sequence[OutputName | Callable[[keras.Model], Any]] = ("logits",),
    ) -> list[keras.Model]:
        """Build the folded network with its weights in Keras: once, with one input for each image size.

        Args:
            preprocessings: as in `engines`.
            outputs: "logits" (batch, classes); "embedding" (batch, channels), the pooled features before the head;
                "maps" (batch, height, width, channels), the features before the pool; or functions from the folded
                network to a tensor in it.

        Returns:
            Models from uint8 (batch, size, size, 3) to the outputs, a list if there are several.

        Raises:
            ArgumentError: an exported file.
            RunError, WeightsError: the weights cannot be used.
        """
        self.check_network()
        for each in self.singles:
            if each.run:
                each.run.check_weights(each.source)
        import_keras()
        from resnext.model.classifier import Trained, trained_classifiers

        sizes = preprocessings or [self.preprocessing]
        trained = [Trained(each.variant, each.source, each.places(self.classes)) for each in self.singles]
        return trained_classifiers(trained, sizes, self.dtype, outputs)

    def places(self, classes: Sequence[str]) -> list[int]:
        """Return the indices of its classes in another order."""
        own = {name: place for place, name in enumerate(self.classes)}
        return [own[name] for name in classes]

    def check_network(self) -> None:
        """Refuse an exported file if a network is needed. Raises ArgumentError."""
        if self.file:
            raise ArgumentError(f"{self.name}: is exported already. Pass the model that it was exported from.")

    def check_single(self, what: str) -> None:
        """Refuse several models where one is needed. Raises ArgumentError."""
        if self.members:
            raise ArgumentError(f"{self.name}: averages {len(self.members)} models, and {what}. Pass one of them.")

    @property
    def singles(self) -> tuple[Model, ...]:
        """The models that are averaged, or this one."""
        return self.members or (self,)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The runs among them."""
        return tuple(each.run for each in self.singles if each.run)

    def labels(self, probabilities: np.ndarray, thresholds: Sequence[float] | None = None) -> tuple[str, ...]:
        """Return the classes that an image has if it may have several, the most probable first.

        Args:
            probabilities: float32 (classes,).
            thresholds: of the classes; None: those of the model.
        """
        order = most_probable(probabilities, len(probabilities))
        least = self.thresholds if thresholds is None else thresholds
        return tuple(self.classes[i] for i in order if probabilities[i] >= least[i])

    @property
    def network(self) -> str:
        """The full name of its network, or the names of those that are averaged."""
        known = self.file.description.facts.get(ENSEMBLE) if self.file else None
        names = map(str, known) if isinstance(known, list) else [full_name(each.variant) for each in self.singles]
        return " + ".join(names)

    def in_float32(self) -> Model:
        """Return the model as Keras computes it in float32, whatever its dtype and engine are."""
        return dataclasses.replace(self, dtype="float32", engine="keras")

    def with_engine(self, name: EngineName | None, images: int | None = None) -> Model:
        """Return the model with the engine that computes its logits.

        Args:
            name: "openvino", "onnxruntime" or "keras"; by default the fastest one installed, or Keras for fewer than
                500 images, because it starts sooner.
            images: number of images; None for many.

        Raises:
            ArgumentError: the model is an exported file, which has its own engine, or the name is unknown.
            MissingPackageError: the engine is not installed.
        """
        if self.file:
            if name is not None:
                raise ArgumentError(f"{self.name}: an exported file runs in its own runtime. Leave --engine out.")
            return self
        few = images is not None and images < MANY
        chosen = name or ("keras" if few else installed_engines()[-1])
        if chosen not in get_args(EngineName):
            raise ArgumentError(f"`engine` must be one of {', '.join(get_args(EngineName))}. Received: {chosen!r}")
        if chosen != "keras":
            for package in (CONVERTED[chosen].package, "onnx"):
                check_installed(package, f"--engine {chosen}")
        return dataclasses.replace(self, engine=chosen)

    @property
    def engine_name(self) -> str:
        """The name of the engine that computes it."""
        return self.file.name if self.file else self.engine

    @property
    def has_maps(self) -> bool:
        """Whether its engine can compute class activation maps: not every exported file does."""
        return self.file is None or self.file.has_maps


def _checked(file: ExportedFile, name: str, preprocessing: Preprocessing, outputs: Sequence[OutputName]) -> Engine:
    """Return an exported file. Raises ArgumentError if a task needs a network."""
    missing = {"embedding": "embeddings", "maps": "maps"}
    if file.has_maps:
        del missing["maps"]
    lacks = [missing[output] for output in outputs if output in missing]
    if preprocessing.size != file.description.preprocessing.size and not file.description.any_size:
        lacks.append("other sizes")
    if lacks:
        raise ArgumentError(
            f"{name}: the exported file does not compute {' and '.join(lacks)}. Pass the model it was exported from."
        )
    return file


_ALLOWED = (
    "Pass a run folder, a file of weights, an exported file or folder, hf:OWNER/NAME, or the tag of published weights "
    "(resnext list --weights)."
)


def _check_source(name: str) -> None:
    """Refuse a name that is not a source of weights. Raises ArgumentError."""
    check_order(None, name)
    if name.startswith(HUB) or user_path(name).exists() or find_weights(name):
        return
    try:
        variant = get_variant(name)
    except ArgumentError:
        hint = similar(user_path(name), [*list_variants(), *map(str, Path().glob("runs/*"))])
        raise NotFoundError(f"{name}: no such model.{hint} {_ALLOWED}") from None
    if "." in OTHER_NAMES.get(name, ""):
        raise ArgumentError(f"{name}: a former name. Pass the tag of its weights, {OTHER_NAMES[name]}.")
    try:
        known = f", such as {default_weights(variant.name)}"
    except ArgumentError:
        known = ""
    raise ArgumentError(f"{name}: a network without weights. Pass --weights FILE, hf:OWNER/NAME or a tag{known}.")


def _from_run(run: Run, weights: str | None) -> Model:
    which = weights or "best"
    path, config = run.weights(which), run.config
    row = _row_of(run, path) if run.epochs_done else None
    return Model(
        str(run.folder),
        config.variant,
        config.classes,
        config.preprocessing,
        path,
        config.options.dtype,
        row.temperature if row else 1.0,
        run=run,
        several=config.several,
        thresholds=_thresholds(config.several, config.classes, row.thresholds if row else None),
    )


def _thresholds(several: bool, classes: Sequence[str], known: Sequence[float] | None = None) -> tuple[float, ...]:
    """Return the threshold of each of several labels, 0.5 if unknown."""
    return tuple(known or [HALF] * len(classes)) if several else ()


def _row_of(run: Run, weights: Path) -> EpochRow:
    """Return the row of the epoch of a file of weights."""
    history = run.history
    kept = [row for row in history.rows if weights_of_epoch(row.epoch) == weights.name]
    return kept[0] if kept else history.best if weights.name == WEIGHTS["best"] else history.last


def _from_file(path: Path, file: ExportedFile) -> Model:
    known = file.description
    thresholds = _thresholds(known.several, known.classes, known.thresholds)
    return Model(
        str(path), known.variant, known.classes, known.preprocessing, path, file=file, several=known.several,
        thresholds=thresholds,
    )  # fmt: skip


def _from_weights(name: str, source: str, variant: Variant | None) -> Model:
    with open_weights(source, variant) as file:
        variant = variant or file.known_variant()
        classes = file.classes
        if classes is None:
            raise WeightsError(f"{file.path}: has no head, so it cannot classify. Pass weights with a head.")
        preprocessing = _as_published(file.preprocessing() or _usual(variant), file.known)
        check_weights(file, file.shapes_of(variant, channels=preprocessing.channel_count), variant)
        ids, names = _class_names(file, classes)
        return Model(
            name, variant, names, preprocessing, file.path, wordnet_ids=ids, published=file.known,
            several=file.labels.several, thresholds=_thresholds(file.labels.several, names, file.labels.thresholds),
        )  # fmt: skip


def _averaged(name: str, members: list[Model]) -> Model:
    """Return the model that averages the logits of others; its classes are in the order of the first.

    Raises:
        ArgumentError: a member is an exported file, or differs in classes, in how images are prepared, or in the
            number of positions of its maps.
    """
    first = members[0]
    _check_same(members, "is an exported file, which can't be averaged", lambda each: each.file is not None, False)
    _check_same(
        members, "has a classifier with weights for each position, which can't be averaged",
        lambda each: each.variant.departures.keeps_positions, False,
    )  # fmt: skip
    facts: tuple[tuple[str, Callable[[Model], object]], ...] = (
        ("has other classes than", lambda each: {*each.classes}),
        ("predicts another number of labels for an image than", lambda each: each.several),
        ("prepares images in another way than", lambda each: each.preprocessing),
        ("divides images into other positions than", lambda each: each.variant.stages[-1].output_stride),
    )
    for words, fact in facts:
        _check_same(members, f"{words} {first.name}, so the two can't be averaged", fact, fact(first))
    same_ids = {each.wordnet_ids for each in members} == {first.wordnet_ids}
    return dataclasses.replace(
        first,
        name=name,
        dtype=first.dtype if {each.dtype for each in members} == {first.dtype} else "float32",
        temperature=1.0,
        wordnet_ids=first.wordnet_ids if same_ids else None,
        run=None,
        published=None,
        thresholds=_mean_thresholds(members),
        members=tuple(members),
    )


def _mean_thresholds(members: list[Model]) -> tuple[float, ...]:
    """Return the thresholds of several labels at the mean of the members' logits, in the order of the first."""
    first = members[0]
    if not first.several:
        return ()
    rows = [[each.thresholds[place] for place in each.places(first.classes)] for each in members]
    return tuple(sigmoid(logits_of(np.array(rows), several=True).mean(axis=0)).tolist())


def _check_same(members: list[Model], words: str, fact: Callable[[Model], object], wanted: object) -> None:
    for each in members:
        if fact(each) != wanted:
            raise ArgumentError(f"{each.name}: {words}. Pass models of the same classes and images, by run or weights.")


def _class_names(file: WeightsFile, classes: int) -> tuple[tuple[str, ...] | None, tuple[str, ...]]:
    """Return WordNet's numbers if the classes are ImageNet-1K's, and the names of the classes, or their indices."""
    names = file.class_names()
    if names:
        return None, names
    if classes == len(imagenet_classes()):
        ids, names = zip(*imagenet_classes(), strict=True)
        return ids, names
    return None, tuple(map(str, range(classes)))


def _as_published(preprocessing: Preprocessing, known: PublishedWeights | None) -> Preprocessing:
    """Return a preprocessing with a published accuracy if the file's own is not one of these."""
    published = [accuracy.preprocessing for accuracy in known.accuracies] if known else []
    if known is None or preprocessing in published:
        return preprocessing
    return dataclasses.replace(known.preprocessing, mean=preprocessing.mean, std=preprocessing.std)


def _usual(variant: Variant) -> Preprocessing:
    """Return ImageNet's preprocessing at the published size of a network."""
    return Preprocessing(variant.image_size, round(variant.image_size / RESIZED))
