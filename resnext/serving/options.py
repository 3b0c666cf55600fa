"""The options of serving networks."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from resnext.errors import ArgumentError
from resnext.keywords import as_call
from resnext.serving.limits import MAX_IMAGES

PORT = 8000


@dataclass(frozen=True)
class ServingOptions:
    """Options of a server.

    Args:
        host: address to listen on: "127.0.0.1" for this machine only, "0.0.0.0" for every network that it is in.
        port: port; 0 chooses a free one.
        token: token that clients must send as `Authorization: Bearer TOKEN`; by default none on this machine, and a new
            one elsewhere.
        batch_size: most images that a network computes at once; fewer if that is as fast.
        queue: images that may wait for a network; more are refused with status 429.
        deadline: seconds within which a request is answered, or fails with status 504.

    Raises:
        ArgumentError: a value that is not allowed.
    """

    host: str = "127.0.0.1"
    port: int = PORT
    token: str | None = None
    batch_size: int = 16
    queue: int = 64
    deadline: float = 10.0

    def __repr__(self) -> str:
        return as_call(self)

    def __post_init__(self) -> None:
        if not 0 <= self.port < 2**16:
            raise ArgumentError(f"`port` must be from 0 to 65535. Received: {self.port}")
        if self.token is not None and (
            len(self.token) < 16 or not self.token.isascii() or not self.token.isprintable()
        ):
            raise ArgumentError(
                "the token (--token or $RESNEXT_TOKEN) must have at least 16 printable ASCII characters. Leave it out "
                "to get a new one where one is needed."
            )
        if not 1 <= self.batch_size <= 1024:
            raise ArgumentError(f"`batch_size` must be from 1 to 1024. Received: {self.batch_size}")
        if self.queue < MAX_IMAGES:
            raise ArgumentError(
                f"`queue` must be at least {MAX_IMAGES}, the images of one request. Received: {self.queue}"
            )
        if not 0 < self.deadline <= 3600:
            raise ArgumentError(f"`deadline` must be above 0 seconds, and an hour at most. Received: {self.deadline}")

    @property
    def is_local(self) -> bool:
        """Whether only this machine can connect.

        >>> ServingOptions(host="::1").is_local, ServingOptions(host="0.0.0.0").is_local
        (True, False)
        """
        return is_loopback(self.host)


def is_loopback(host: str) -> bool:
    """Return whether a name or an address belongs to this machine's loopback, which no other machine can reach."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
