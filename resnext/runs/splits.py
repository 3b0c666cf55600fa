"""The images of a run: for a new one as its options draw them, and the same again later."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from resnext.data.check import drop_unreadable, readers
from resnext.data.examples import Examples
from resnext.data.seen import Seen
from resnext.data.source import DataSource
from resnext.data.splits import Splits
from resnext.data.train_share import with_train_share
from resnext.runs.config import TrainingOptions
from resnext.runs.run import Run

logger = logging.getLogger(__name__)


def splits_of_options(
    source: DataSource, options: TrainingOptions, seen: Seen | None = None, held_out: Sequence[str] = ()
) -> Splits:
    """Return the images of a training with these options; the arguments are those of `DataSource.splits`."""
    splits = source.splits(options.draw, seen, held_out, options.classes)
    return with_train_share(splits, options.train_share, options.seed)


def splits_of_run(source: DataSource, run: Run) -> Splits:
    """Return the images of a run again, as it held them out. Raises RunError, and DataError as `DataSource.splits`."""
    before = run.images.before
    seen = Seen(str(run.folder), trained=frozenset(before)) if before else None
    return splits_of_options(source, run.config.options, seen, run.held_out)


def readable(examples: Examples, run: Run) -> Examples:
    """Return images of a run without those that can't be read, if its training left such images out.

    Raises:
        DataError: more can't be read than its `skip_bad` allows.
    """
    if not run.config.options.skip_bad:
        return examples
    _, read = readers(run.config.preprocessing.channels)
    kept, bad = drop_unreadable(examples, run.config.options.skip_bad, read)
    for reason in bad:
        logger.warning(f"skipped: {reason}")
    return kept
