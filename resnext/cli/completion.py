"""Completion of commands and options in a shell: completion."""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Mapping
from typing import Annotated, Literal

import tyro
from tyro.conf import Positional


def completion_command(available: Mapping[str, Callable[..., None]]) -> Callable[..., None]:
    """Return the command `completion`, which knows the other commands."""

    def completion(
        shell: Annotated[Positional[Literal["bash", "zsh", "tcsh"]], tyro.conf.arg(metavar="bash|zsh|tcsh")] = "bash",
    ) -> None:
        """Print a script that completes commands and options in a shell: source <(resnext completion bash).

        Args:
            shell: shell to complete in.
        """
        text = io.StringIO()
        with contextlib.redirect_stdout(text), contextlib.suppress(SystemExit):
            arguments = ["--tyro-print-completion", shell]
            tyro.extras.subcommand_cli_from_dict(dict(available), prog="resnext", args=arguments)
        # Without an option to complete, bash completes files: photos and runs.
        print(text.getvalue().replace("complete -F ", "complete -o default -F "), end="")

    return completion
