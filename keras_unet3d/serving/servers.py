"""Calls to servers of one model, over gRPC: to whoever has least to do, again where one does not answer."""

import textwrap
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from threading import Lock
from typing import Any

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.inference.budget import shown
from keras_unet3d.serving.access import Access
from keras_unet3d.serving.protocol import METADATA, PREDICT, REPLIES, STATES, STATUS, message, parsed

FIRST_REST, LONGEST_REST = 0.2, 5.0
"""Seconds for which a server that did not answer is not asked, after the first failure and after many."""

LONGEST_DETAILS = 300
"""Characters of what a server says that are shown."""


@dataclass(eq=False)
class Server:
    """One of them.

    Attributes:
        address: ``host:port``.
        methods: callables by the names of the methods.
        busy: requests on their way.
        asked: the number of the last request that went to it, of all.
        failures: since it last answered.
        failed: when the last of them was.
        rests_until: when it may be asked again.
    """

    address: str
    methods: dict[str, Any]
    busy: int = 0
    asked: int = 0
    failures: int = 0
    failed: float = -inf
    rests_until: float = -inf


@dataclass(eq=False)
class Traffic:
    """What went over the network.

    Attributes:
        requests: that were answered.
        failures: that were not.
        sent: bytes of all requests.
        received: bytes of all replies.
    """

    requests: int = 0
    failures: int = 0
    sent: int = 0
    received: int = 0


@dataclass(eq=False)
class _Request:
    """One on its way.

    Attributes:
        method: of the service.
        content: serialised.
        model: that is asked.
        failed: when a server first did not answer it.
        refused: why servers will not answer it, by these servers.
    """

    method: str
    content: bytes
    model: Any
    failed: float | None = None
    refused: dict[Server, str] = field(default_factory=dict)


class Servers:
    """Servers of one model, all alike; called from any number of threads."""

    def __init__(self, addresses: Sequence[str], access: Access) -> None:
        """Prepare to call them; nothing is sent yet.

        Raises:
            InputError: if gRPC is not installed, or an address is none.
        """
        self._grpc = _grpc()
        self._access, self._lock, self._number = access, Lock(), 0
        self.traffic = Traffic()
        self._channels = [self._channel(access.address(each)) for each in addresses]
        self._servers = [
            Server(access.address(each), {name: channel.unary_unary(name) for name in (PREDICT, METADATA, STATUS)})
            for each, channel in zip(addresses, self._channels, strict=True)
        ]
        self._metadata = () if access.token is None else (("authorization", f"Bearer {access.token}"),)

    @property
    def addresses(self) -> tuple[str, ...]:
        """``host:port`` of each."""
        return tuple(server.address for server in self._servers)

    def call(self, method: str, request: Any) -> Any:
        """Ask one of the servers; another, or again, where it does not answer.

        Raises:
            InputError: if no server has what is asked for, or none lets us ask.
            WorkError: if none answers, or what is asked fails.
        """
        asking = _Request(method, request.SerializeToString(), request.model_spec)
        while True:
            server = self._take(asking)
            began = time.monotonic()
            try:
                content = self._ask(server, method, asking.content)
                server.failures = 0
                return parsed(REPLIES[method], content, server.address)
            except self._grpc.RpcError as error:
                self._failed(asking, server, error, began)
            finally:
                with self._lock:
                    server.busy -= 1

    def close(self) -> None:
        """Hang up; whatever is on its way is given up."""
        for channel in self._channels:
            channel.close()

    def _channel(self, address: str) -> Any:
        options = [
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),  # 4 MiB unless told so
            ("grpc.initial_reconnect_backoff_ms", round(1000 * FIRST_REST)),
            ("grpc.min_reconnect_backoff_ms", round(1000 * FIRST_REST)),
            ("grpc.max_reconnect_backoff_ms", round(1000 * LONGEST_REST)),
            ("grpc.use_local_subchannel_pool", 1),
        ]
        if not self._access.tls:
            return self._grpc.insecure_channel(address, options)
        trusted = self._grpc.ssl_channel_credentials(self._access.authorities)
        return self._grpc.secure_channel(address, trusted, options)

    def _take(self, asking: _Request) -> Server:
        """The least busy of the servers that answer, in turn; the first to be asked again, where none does."""
        while True:
            now = time.monotonic()
            with self._lock:
                left = [server for server in self._servers if server not in asking.refused]
                awake = [server for server in left if server.rests_until <= now]
                if awake:
                    server = min(awake, key=lambda each: (each.busy, each.asked))
                    self._number += 1
                    server.busy, server.asked = server.busy + 1, self._number
                    return server
                pause = min(server.rests_until for server in left) - now
            time.sleep(pause)

    def _ask(self, server: Server, method: str, content: bytes) -> bytes:
        reply: bytes = server.methods[method](content, timeout=self._access.deadline, metadata=self._metadata)
        with self._lock:
            self.traffic.requests += 1
            self.traffic.sent += len(content)
            self.traffic.received += len(reply)
        return reply

    def _failed(self, asking: _Request, server: Server, error: Any, began: float) -> None:
        """Return where it is worth to ask again, or another server.

        Raises:
            InputError: as `call`.
            WorkError: as `call`.
        """
        codes, code, details = self._grpc.StatusCode, error.code(), _one_line(error.details() or "no details")
        with self._lock:
            self.traffic.failures += 1
        lost = code is codes.INTERNAL and "RST_STREAM" in details  # in the middle of a reply
        if lost or code in {codes.UNAVAILABLE, codes.CANCELLED, codes.ABORTED}:
            self._rest(asking, server, began, f"does not answer ({details})")
        elif code is codes.DEADLINE_EXCEEDED:
            self._refuse(asking, server, f"took longer than {self._access.deadline:g} s (--deadline)", WorkError)
        elif code is codes.NOT_FOUND:
            self._not_found(asking, server, details, began)
        elif code in {codes.UNAUTHENTICATED, codes.PERMISSION_DENIED}:
            raise InputError(f"{server.address}: does not let us ask ({details}). It may need another --token.")
        elif code is codes.UNIMPLEMENTED:
            raise InputError(f"{server.address}: is no TensorFlow Serving ({details}). Give its port of gRPC.")
        elif code is codes.RESOURCE_EXHAUSTED:
            raise WorkError(
                f"{server.address}: refused a request of {shown(len(asking.content))}, or its reply ({details}). Make "
                f"the tiles smaller: --largest-message, such as 4MB."
            )
        else:
            raise WorkError(f"{server.address}: could not do it ({code.name}: {details}).")

    def _rest(self, asking: _Request, server: Server, began: float, why: str) -> None:
        """Leave a server in peace for a while, and give up where all were silent for long."""
        now = time.monotonic()
        with self._lock:
            is_new = server.failures == 0
            if began >= server.failed:  # else the same trouble was counted already
                server.failures += 1
                server.failed = now
                server.rests_until = now + min(FIRST_REST * 2 ** (server.failures - 1), LONGEST_REST)
        asking.failed = began if asking.failed is None else asking.failed
        if now - asking.failed > self._access.patience:
            raise WorkError(
                f"{server.address}: {why}. It was asked again for {self._access.patience:g} s. Is the server running, "
                f"and is this its port of gRPC{', without TLS' if not self._access.tls else ''}?"
            )
        if is_new and any(each.failures == 0 for each in self._servers):
            warnings.warn(f"{server.address}: {why}. The other servers go on without it.", stacklevel=2)

    def _refuse(self, asking: _Request, server: Server, why: str, kind: type[InputError | WorkError]) -> None:
        """Ask the others, if there are any left."""
        asking.refused[server] = why
        if len(asking.refused) == len(self._servers):
            raise kind("; ".join(f"{each.address}: {reason}" for each, reason in asking.refused.items()) + ".")
        with self._lock:
            server.rests_until = time.monotonic() + LONGEST_REST
        warnings.warn(f"{server.address}: {why}. The other servers go on without it.", stacklevel=2)

    def _not_found(self, asking: _Request, server: Server, details: str, began: float) -> None:
        """Wait for a version that is being loaded; else say which ones there are."""
        status = message("StatusRequest", model_spec=message("Model", name=asking.model.name))
        try:
            content = server.methods[STATUS](
                status.SerializeToString(), timeout=self._access.deadline, metadata=self._metadata
            )
        except self._grpc.RpcError:
            known = []
        else:
            known = list(parsed(REPLIES[STATUS], content, server.address).model_version_status)
        if any(STATES.get(each.state) in {"starting", "loading"} for each in known):
            self._rest(asking, server, began, "is still loading the model")
            return
        states = "; ".join(_state(each) for each in sorted(known, key=lambda each: each.version))
        there = f"Its versions there: {states}" if states else f"It knows no model {asking.model.name!r}: --model-name"
        self._refuse(asking, server, f"has not what was asked for ({details}). {there}", InputError)


def _state(version: Any) -> str:
    """A version, and what has become of it."""
    said = filter(None, [STATES.get(version.state, "unknown"), version.status.error_message])
    return f"{version.version} ({', '.join(said)})"


def _one_line(details: str) -> str:
    """What a server says, without most of the graph that it tells of."""
    return textwrap.shorten(details, LONGEST_DETAILS, placeholder=" …")


def _grpc() -> Any:
    """The library, imported when a server is first called.

    Raises:
        InputError: if it is not there.
    """
    try:
        import google.protobuf  # noqa: F401
        import grpc
    except ImportError as error:
        raise InputError(
            f"Calling a server needs gRPC, which is not installed ({error}): pip install 'keras-unet3d[serving]'"
        ) from error
    return grpc
