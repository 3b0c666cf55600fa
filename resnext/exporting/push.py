"""Upload a bundle to huggingface.co."""

from __future__ import annotations

import re
from pathlib import Path

from resnext.engines.engine import check_installed
from resnext.errors import ArgumentError, ExportError, one_line, printable
from resnext.exporting.formats import ExportFormat

REPOSITORY = r"[\w.-]{1,96}/[\w.-]{1,96}"


def check_push(repository: str, kind: ExportFormat) -> None:
    """Refuse an upload that would fail, before anything is written.

    Args:
        repository: OWNER/NAME on huggingface.co.
        kind: format of the export.

    Raises:
        ArgumentError: another format than a bundle, or no name of a repository.
        MissingPackageError: huggingface-hub is not installed.
    """
    if kind != "bundle":
        raise ArgumentError(f"--push uploads a bundle, and this is {kind}. Pass --to bundle as well.")
    if not re.fullmatch(REPOSITORY, repository):
        raise ArgumentError(f"{printable(repository)}: not a name of a repository. Pass --push OWNER/NAME.")
    check_installed("huggingface_hub", "--push")


def check_login(repository: str) -> None:
    """Refuse an upload without a login. Raises ExportError."""
    from huggingface_hub import HfApi

    try:
        HfApi().whoami()
    except Exception as error:  # of many kinds: no token, no connection, a server's answer
        raise ExportError(
            f"{repository}: can't be pushed ({one_line(error)}). Log in by `hf auth login`, or leave --push out."
        ) from error


def push(folder: Path, repository: str) -> str:
    """Upload a bundle, and return its address. A repository that does not exist yet becomes a private one.

    Raises:
        ExportError: it can't be uploaded; the folder stays.
    """
    from huggingface_hub import HfApi

    try:
        api = HfApi()
        address = api.create_repo(repository, private=True, exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, commit_message="Upload by resnext export --push")
    except Exception as error:
        raise ExportError(
            f"{repository}: can't be pushed ({one_line(error)}). The bundle is in {printable(folder)}; push it by "
            f"`hf upload {repository} {printable(folder)}`"
        ) from error
    return str(address)
