"""Options of every command."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import tyro

Quiet = Annotated[
    tyro.conf.FlagCreatePairsOff[bool],
    tyro.conf.arg(help="no progress and no notes on standard error, only warnings and errors."),
]
Config = Annotated[
    Path | None,
    tyro.conf.arg(metavar="FILE", help="TOML file of options (epochs = 20); what is typed outweighs it."),
]


def with_common_options(function: Callable[..., None]) -> Callable[..., None]:
    """Return a command with --quiet and --config, which take effect before it is parsed (`resnext.cli.main`)."""

    @functools.wraps(function)
    def run(*arguments: Any, quiet: bool = False, config: Path | None = None, **keywords: Any) -> None:
        function(*arguments, **keywords)

    signature = inspect.signature(function)
    common = [
        inspect.Parameter("config", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Config),
        inspect.Parameter("quiet", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Quiet),
    ]
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), *common])  # pyright: ignore[reportAttributeAccessIssue]
    hints = typing.get_type_hints(function, include_extras=True)
    run.__annotations__ = {**hints, "config": Config, "quiet": Quiet}
    del run.__wrapped__  # where tyro would look for the annotations
    return run
