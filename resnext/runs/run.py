"""A run: one training and everything it produces, in one folder.

config.json            what was trained, on what, and how; the class names and the preprocessing
epoch-0010.safetensors the weights after an epoch that --keep-every keeps
images.json            the SHA-256 of each training image, in the order of their names, as far as they were read; of the
                       images that chose the epoch, and of those to test on; and of the images that the weights it
                       started from were trained on
held-out.json          paths, relative to the folder of class folders, of the images drawn for testing; empty if the
                       data has a test/ or a val/. Of that data `evaluate` uses these images and no others
metrics.csv            one row for each epoch: identical for identical trainings
metrics.jsonl          one line for each epoch: metrics.csv and the time it took
last.safetensors       the weights after the last epoch
best.safetensors       the weights after the best epoch on the validation images, by accuracy or another `best_by`
learning-curves.png    metrics.csv as a plot
confusion-matrix.png   of the test images, by the last weights; as are
class-accuracy.png     the accuracy of each class
worst-mistakes.png     the wrong answers with the highest loss
checkpoints/           from which `train --resume` continues (see `resnext.training.checkpoints`)
report.html            all of it on one page, which needs no other file and no network
tensorboard/           events for TensorBoard, with `--log tensorboard`
log.jsonl              events of the training, with `--log jsonl`
"""

from __future__ import annotations

import contextlib
import json
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from resnext.checksums import CHANGED, digest_of, sha256_of_tensors, with_sha256, without_sha256
from resnext.data.builtin import BUILTIN
from resnext.data.seen import Seen
from resnext.errors import ArgumentError, RunError, RunFolderError, counted
from resnext.files import read_regular, to_json, user_path, write_atomically
from resnext.runs.config import RunConfig, as_list
from resnext.runs.history import EpochRow, History
from resnext.runs.images import ImageRecord
from resnext.weights.timm_config import HUB_FILES

CONFIG = "config.json"
HELD_OUT = "held-out.json"
METRICS = "metrics.csv"
RECORDS = "metrics.jsonl"
WEIGHTS = {"last": "last.safetensors", "best": "best.safetensors"}
EPOCH = "epoch-"  # begins the name of the weights of a kept epoch
REPORT = "report.html"
IMAGES = "images.json"
LOCK = ".lock"
MAX_DOCUMENT = 2**31  # bytes of one of its documents; those of ImageNet-21k have a tenth
HELD_OUT_SHA256 = "held_out_sha256"  # in its configuration


class Run:
    """The single entry point to a run folder.

    Args:
        folder: run folder.
        config: its configuration.
        held_out_sha256: checksum of its held-out images; None in runs of earlier versions.

    >>> Run.open("runs/signs").config.classes  # doctest: +SKIP
    ('0', '1', '2')
    """

    def __init__(self, folder: Path, config: RunConfig, held_out_sha256: str | None = None):
        self.folder = folder
        self.config = config
        self.held_out_sha256 = held_out_sha256
        self.made: list[Path] = []  # paths that `create` made, for `discard`

    def __repr__(self) -> str:
        return f"Run({self.folder}: {self.config.in_words})"

    @classmethod
    def open(cls, folder: str | Path) -> Run:
        """Open a run folder.

        Raises:
            RunError: it is not a run folder, or its configuration is damaged.
        """
        folder = user_path(folder)
        if not is_run(folder):
            raise RunError(f"{folder}: not a run folder (no {CONFIG}). Pass the --out of a `resnext train`.")
        with _reading(folder / CONFIG) as text:
            document = without_sha256(json.loads(text))
            held_out = document.pop(HELD_OUT_SHA256, None)
            return cls(folder, RunConfig.from_json(document), held_out)

    @classmethod
    def create(cls, folder: Path, config: RunConfig, held_out: Sequence[str], images: ImageRecord | None = None) -> Run:
        """Write the facts known before the training into a folder that `lock` has made.

        Args:
            folder: run folder.
            config: its configuration.
            held_out: paths of the images that were drawn for testing.
            images: hashes of the images, as far as they are known; None: none are.

        Raises:
            RunError: the folder is in use or cannot be written to.
        """
        check_unused(folder)
        run = cls(folder, config)
        try:
            document = with_sha256(config.to_json() | {HELD_OUT_SHA256: digest_of([*held_out])})
            known = (images or ImageRecord()).to_json()
            # The last file makes it a run.
            for name, content in ((IMAGES, known), (HELD_OUT, held_out), (CONFIG, document)):
                text = to_json(content, indent=2) + "\n"
                write_atomically(folder / name, text.encode("utf-8", "surrogateescape"))  # a path may contain any bytes
                run.made.append(folder / name)
        except OSError as error:
            run.discard()
            raise RunFolderError(f"{folder}: can't be written to ({error.strerror}). Choose another --out.") from error
        return run

    def discard(self) -> None:
        """Remove the files that `create` made for a run that ended before it had weights."""
        with contextlib.suppress(OSError):  # the user must see the earlier error
            for path in self.made:
                path.unlink()

    @property
    def held_out(self) -> list[str]:
        """Paths of the images that the training kept for testing. Raises RunError."""
        with _reading(self.folder / HELD_OUT) as text:
            paths = as_list(json.loads(text))
            if not all(isinstance(path, str) for path in paths):
                raise ValueError("not a list of paths")
            if self.held_out_sha256 not in (None, digest_of(paths)):
                raise ValueError(CHANGED)
            return paths

    @property
    def images(self) -> ImageRecord:
        """The hashes of its images; empty in runs of earlier versions. Raises RunError."""
        path = self.folder / IMAGES
        if not path.is_file():
            return ImageRecord()
        with _reading(path) as text:
            return ImageRecord.from_json(json.loads(text))

    @property
    def seen(self) -> Seen:
        """The images that a training from its weights must keep on their side. Raises RunError."""
        images = self.images
        known = [value for value in images.trained if value]
        paths = () if images.validation else self.held_out
        held_out = frozenset((*images.validation, *images.test))
        return Seen(str(self.folder), frozenset((*known, *images.before)), held_out, frozenset(paths))

    @property
    def images_without_hash(self) -> int | None:
        """The number of images that it was trained on and has no hash of; None if it has no record at all."""
        trained = self.images.trained
        if not trained and self.config.data not in BUILTIN:
            return None
        return trained.count(None) if self.is_finished else 0

    @property
    def history(self) -> History:
        """The completed epochs, at least one. Raises RunError."""
        path = self.folder / RECORDS
        if not path.is_file():
            raise RunError(f"{self.folder}: has no {RECORDS}, so none of its epochs is finished. Pass another run.")
        with _reading(path) as text:
            rows = [EpochRow.from_json(json.loads(line)) for line in text.splitlines()]
            if not rows:
                raise ValueError("it has no rows")
            return History(rows, self.config.recipe.best_by)

    @property
    def epochs_done(self) -> int:
        """The number of epochs done and evaluated. Raises RunError if the record is damaged."""
        return self.history.epochs if (self.folder / RECORDS).is_file() else 0

    @property
    def is_finished(self) -> bool:
        """Whether its training has ended and its report is written."""
        recipe = self.config.recipe
        is_reported = (self.folder / REPORT).is_file() and (self.folder / RECORDS).is_file()
        return is_reported and self.history.is_over(recipe.epochs, recipe.patience)

    @property
    def progress(self) -> str:
        """Its progress: "finished, 20 epochs", or "12 of 20 epochs"."""
        epochs, done = self.config.recipe.epochs, f"{self.epochs_done} of "
        if self.is_finished:
            early = self.history.epochs < epochs
            return f"finished, {done if early else ''}{counted(epochs, 'epoch')}{', by patience' if early else ''}"
        return f"{done}{counted(epochs, 'epoch')}"

    def weights(self, which: str = "best") -> Path:
        """Return the file with the weights of the "best", the "last" or a kept epoch. Raises ArgumentError."""
        if which in WEIGHTS:
            return self.folder / WEIGHTS[which]
        kept = sorted(path.stem for path in self.folder.glob("epoch-*.safetensors"))
        if which not in kept:
            raise ArgumentError(f"`weights` must be one of {', '.join((*sorted(WEIGHTS), *kept))}. Received: {which!r}")
        return self.folder / f"{which}.safetensors"

    def check_weights(self, path: Path) -> None:
        """Refuse a run whose weights are absent, too few for its network, or of another run or epoch.

        Args:
            path: file of its "best" or "last" weights.

        Raises:
            RunError: the weights are absent, too small, or not those of the rows.
        """
        config = self.config
        if not path.is_file():
            raise RunError(f"{path}: no such weights file. No epoch of the run is finished, or the file was removed.")
        name, cost = config.variant.name, config.cost
        least = 2 * (cost.parameters + cost.moving_statistics)  # bytes, in half precision
        if path.stat().st_size < least:
            raise RunError(
                f"{path}: {path.stat().st_size:,} bytes, too few for {name} with {len(config.classes)} classes "
                f"(at least {least:,}). The file or the folder's {CONFIG} is damaged."
            )
        with _reading(path):
            found = sha256_of_tensors(path)  # before the rows, which are written before the weights
        is_of_run = path.name in WEIGHTS.values() or path.stem.startswith(EPOCH)
        has_rows = is_of_run and (self.folder / RECORDS).is_file()
        rows = _rows_of(path, self.history) if has_rows else []
        if rows and found not in {row.weights_sha256 for row in rows}:
            raise RunError(
                f"{path}: not the weights of epoch {rows[0].epoch}, which {RECORDS} gives for it: the file comes from "
                f"another run or epoch. Put the right one back, or pass this file as: {name} --weights {path}"
            )


def _rows_of(path: Path, history: History) -> list[EpochRow]:
    """Return the rows that a file of weights may belong to; after a kill, its file is an epoch older."""
    if path.stem.startswith(EPOCH):
        kept = [row for row in history.rows if weights_of_epoch(row.epoch) == path.name]
        return kept if kept and kept[0].weights_sha256 else []
    which = "best" if path.name == WEIGHTS["best"] else "last"
    rows = [getattr(each, which) for each in (history, history.before) if len(each)]
    return rows if rows[0].weights_sha256 else []


def weights_of_epoch(epoch: int) -> str:
    """Return the name of the file in which the weights of an epoch are kept.

    >>> weights_of_epoch(10)
    'epoch-0010.safetensors'
    """
    return f"{EPOCH}{epoch:04}.safetensors"


def command_to_resume(folder: Path) -> str:
    """Return the command that resumes a run, quoted for a shell.

    >>> command_to_resume(Path("runs/a b"))
    "resnext train --resume 'runs/a b'"
    """
    return f"resnext train --resume {shlex.quote(str(folder))}"


def is_run(folder: Path) -> bool:
    """Return whether a training has begun in the folder; Hugging Face folders have a config.json as well."""
    return (folder / CONFIG).is_file() and not any((folder / name).is_file() for name in HUB_FILES)


def run_of_weights(source: str | None) -> Run | None:
    """Return the run that a source of weights is, or whose file it is; None if it is of another kind.

    Raises:
        RunError: the weights are not those of the run.
    """
    run = open_run_of(source)
    if run and source is not None:
        path = user_path(source)
        run.check_weights(path if path.is_file() else run.weights())
    return run


def open_run_of(source: str | Path | None) -> Run | None:
    """Return what `run_of_weights` does, without reading the weights. Raises RunError for a damaged configuration."""
    if source is None:
        return None
    path = user_path(source)
    folder = path.parent if path.is_file() else path
    return Run.open(folder) if is_run(folder) else None


def check_unused(folder: Path) -> None:
    """Raise RunError if a run cannot be written without touching existing files."""
    if folder.exists() and not folder.is_dir():
        raise RunFolderError(f"{folder}: is a file. A run needs a new or an empty folder: choose another --out.")
    if is_run(folder):
        run = Run.open(folder)
        more = f"resume it with: {command_to_resume(folder)}; or choose" if not run.is_finished else "choose"
        raise RunFolderError(f"{folder}: holds a run ({run.progress}); {more} another --out for a new one.")
    # A process killed before it has written its configuration leaves its lock or a partial file.
    leftovers = (LOCK, f".{CONFIG}.", f".{HELD_OUT}.")
    if folder.is_dir() and not all(path.name.startswith(leftovers) for path in list_folder(folder)):
        raise RunFolderError(
            f"{folder}: holds other files. A run needs a new or an empty folder: choose another --out."
        )


def list_folder(folder: Path) -> list[Path]:
    """Return the contents of a run folder. Raises RunError."""
    try:
        return [*folder.iterdir()]
    except OSError as error:
        raise RunFolderError(f"{folder}: can't be read ({error.strerror}). Choose another --out.") from error


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """Yield the text of a file; turn any failure inside the `with` into a RunError."""
    try:
        yield read_regular(path, MAX_DOCUMENT).decode("utf-8", "surrogateescape")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise RunError(f"{path}: damaged, or written by another version of resnext ({error}).") from error
