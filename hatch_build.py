"""The README of a distribution: its links lead to the repository's public address, or are left out without one."""

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!https?:|#)([^)\s]+)\)")


class PublicReadme(MetadataHookInterface):
    """Reads `address` in pyproject.toml, such as "https://github.com/OWNER/resnext/blob/main"."""

    def update(self, metadata: dict[str, Any]) -> None:
        address = self.config["address"].rstrip("/")
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": with_links_to(address, text)}
        if address:
            metadata["urls"] = {"Source": address, "Changelog": f"{address}/CHANGELOG.md"}


def with_links_to(address: str, text: str) -> str:
    """Return a Markdown text whose relative links and pictures lead to an address; without one, only their words."""

    def replaced(match: re.Match[str]) -> str:
        mark, words, target = match.groups()
        if address:
            end = "?raw=true" if mark else ""
            return f"{mark}[{words}]({address}/{target}{end})"
        return "" if mark else words

    return LINK.sub(replaced, text)
