"""Keeps from terminals and notebooks what TensorFlow says to nobody in particular."""

import logging
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType


def quiet_tensorflow() -> None:
    """Silence TensorFlow's logs, and what it writes past its own log level while it is imported; errors are shown.

    To be called before TensorFlow is imported, else it does nothing: what is imported already has said it.

    Its C++ code writes about oneDNN and CUDA to the file descriptor of stderr before it reads any setting. Importing it
    here to hide that would cost every error that needs no network some seconds, so the import itself is wrapped,
    whenever it comes.
    """
    if "tensorflow" in sys.modules or tensorflow_is_quiet():
        return
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    for name in ("tensorflow", "absl"):
        logging.getLogger(name).setLevel(logging.ERROR)
    sys.meta_path.insert(0, _QuietFinder())


def tensorflow_is_quiet() -> bool:
    """Whether `quiet_tensorflow` was called, which a process that this one starts does not know."""
    return any(isinstance(finder, _QuietFinder) for finder in sys.meta_path)


class _QuietFinder(MetaPathFinder):
    """Finds tensorflow as usual and gives it a loader that is quiet."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != "tensorflow":
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader)
        return spec


class _QuietLoader(Loader):
    def __init__(self, usual: Loader) -> None:
        self._usual = usual

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._usual.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        with _silent_stderr():
            self._usual.exec_module(module)
        module.get_logger().setLevel(logging.ERROR)  # which it sets to INFO where it is used interactively


@contextmanager
def _silent_stderr() -> Iterator[None]:
    """Point the file descriptor of stderr, which C++ writes to, at nothing."""
    sys.stderr.flush()
    kept = os.dup(2)
    nothing = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nothing, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nothing)
        os.close(kept)
