"""How servers are called."""

import re
from dataclasses import dataclass
from math import inf
from pathlib import Path

from keras_unet3d.errors import InputError

LARGEST_MESSAGE = 2**31 - 1
"""Bytes: what Protocol Buffers allow."""

PORT = 8500
"""Where TensorFlow Serving speaks gRPC, unless told otherwise."""
LARGEST_PORT = 65535

_ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[^\s:/\[\]]+)(?::(?P<port>\d+))?")


@dataclass(frozen=True)
class Access:
    """How servers are called.

    Attributes:
        deadline: seconds that a request may take.
        patience: seconds for which servers that do not answer are asked again, with ever longer breaks.
        in_flight: requests of each server at a time: while it computes one, the next is on its way.
        largest_message: bytes that a request or a reply may take, where something between limits them; tiles are
            chosen by it. TensorFlow Serving itself has no limit of its own.
        tls: whether to call by TLS, trusting the authorities of this system, or those in a PEM file.
        token: sent with every request, as ``authorization: Bearer …``.

    Raises:
        InputError: if a value is none of those.
    """

    deadline: float = 300.0
    patience: float = 30.0
    in_flight: int = 2
    largest_message: int = LARGEST_MESSAGE
    tls: bool | Path = False
    token: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.deadline < inf or not 0 <= self.patience < inf:
            raise InputError(
                f"Expected a deadline above 0 seconds and a patience of 0 or more. Received: {self.deadline} and "
                f"{self.patience}"
            )
        if self.in_flight < 1:
            raise InputError(f"Expected at least one request at a time. Received: {self.in_flight}")
        if not 0 < self.largest_message <= LARGEST_MESSAGE:
            raise InputError(
                f"Expected a largest message above 0 and below 2 GiB, which is what gRPC's messages can hold. "
                f"Received: {self.largest_message} bytes"
            )

    def address(self, server: str) -> str:
        """``host:port`` of a server, checked.

        Raises:
            InputError: if it is none, or a token would go to it in the open.
        """
        found = _ADDRESS.fullmatch(server.strip())
        if found is None or int(found["port"] or PORT) > LARGEST_PORT:
            raise InputError(f"{server!r}: is no server. Give the host and the port of gRPC, such as host:{PORT}.")
        address = f"{found['host']}:{found['port'] or PORT}"
        host = found["host"].strip("[]")
        if self.token is not None and not self.tls and host not in {"localhost", "127.0.0.1", "::1"}:
            raise InputError(f"{address}: a token would cross the network for all to read. Add --tls.")
        return address

    @property
    def authorities(self) -> bytes | None:
        """Certificates that are trusted, None for those of this system.

        Raises:
            InputError: if their file cannot be read.
        """
        if isinstance(self.tls, bool):
            return None
        try:
            return self.tls.read_bytes()
        except OSError as error:
            raise InputError(f"{self.tls}: the certificates cannot be read ({error.strerror}).") from error
