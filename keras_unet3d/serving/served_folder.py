"""The folder of all models as TensorFlow Serving wants it: what it is told of them, and how to start and ask it."""

from dataclasses import dataclass
from pathlib import Path

from keras_unet3d.errors import InputError
from keras_unet3d.serving.description import read_description
from keras_unet3d.serving.models_config import is_label, served_only, with_model
from keras_unet3d.serving.served_readme import served_readme
from keras_unet3d.serving.versions import next_version, versions
from keras_unet3d.volumes.whole_file import written_whole

CONFIG_FILE = "models.config"
README_FILE = "README.md"

MERGED_TILES = 8
"""Requests that a server may compute as one, where it merges them."""

_MONITORING = """# For --monitoring_config_file: numbers for Prometheus, over the port of REST.
prometheus_config {
  enable: true
  path: "/monitoring/prometheus/metrics"
}
"""

_BATCHING = """# For --enable_batching --batching_parameters_file: on a GPU, for clients that send tiles of one shape.
# The server merges requests along their first axis: tiles of a batch, but planes of a volume. With it, ask
# serving_default and describe alone. A volume of more planes than max_batch_size is refused, a flatter one may be taken
# for a part of another. It is at least the number of channels, or the warm-up of the signature "intensity" fails.
max_batch_size {{ value: {merged} }}
batch_timeout_micros {{ value: 5000 }}
max_enqueued_batches {{ value: 64 }}
num_batch_threads {{ value: 1 }} # one batch at a time: each takes the memory of all its tiles
"""


@dataclass(frozen=True)
class ServedFolder:
    """What was done beside a model.

    Attributes:
        config: the ``models.config`` that names it.
        written: files that are new, or changed.
        only: the versions that a server is told to load; None where it takes the newest, as it does without labels.
    """

    config: Path
    written: tuple[Path, ...]
    only: tuple[int, ...] | None


def check_served(model: Path, label: str | None = None) -> None:
    """Make sure that the folder of a model can be named to a server; nothing is written.

    Args:
        model: its folder, which need not be there.
        label: that its next version gets.

    Raises:
        InputError: if its name or the label cannot be one, or the ``models.config`` beside it cannot be read.
    """
    _, name = _place(model)
    if not name or (name.isascii() and name.isdigit()):
        raise InputError(
            f"{model}: would be a version of a model, not a model. Name a model's folder, such as models/kidney; its "
            f"versions are numbered in it."
        )
    if label is not None and not is_label(label):
        raise InputError(f"Expected a label of letters, such as stable or canary. Received: {label!r}")
    following = int(next_version(model).name)
    _config_with(model, [*versions(model), following], None if label is None else (label, following))


def name_to_server(version: Path, label: str | None = None) -> ServedFolder:
    """Name a model in the ``models.config`` beside its folder, and write what else a server can be told, once.

    Nothing that is there is overwritten but ``models.config``, of which no more is changed than must be.

    Args:
        version: that was exported.
        label: what it is called from now on.

    Raises:
        InputError: as `check_served`.
        WorkError: if writing fails.
    """
    model, number = version.parent, int(version.name)
    folder, name = _place(model)
    before, after = _config_with(model, versions(model), None if label is None else (label, number))
    description = read_description(version)
    wanted = {
        "monitoring.config": _MONITORING,
        "batching.config": _BATCHING.format(merged=max(MERGED_TILES, len(description.channels))),
        README_FILE: served_readme(name, description),
    }
    texts = {file: text for file, text in wanted.items() if not (folder / file).exists()}
    texts |= {CONFIG_FILE: after} if after != before else {}
    for file, text in texts.items():
        with written_whole(folder / file) as unfinished:
            unfinished.write_text(text, encoding="utf-8")
    only = served_only(after, name)
    return ServedFolder(
        folder / CONFIG_FILE, tuple(folder / file for file in texts), None if only is None else tuple(only)
    )


def _place(model: Path) -> tuple[Path, str]:
    """The folder of all models, as the user names it where possible, and the name of this one."""
    named = model if model.name not in {"", ".."} else model.resolve()
    return named.parent, named.name


def _config_with(model: Path, there: list[int], label: tuple[str, int] | None) -> tuple[str, str]:
    """The text of the ``models.config`` beside a model, as it is and as it will be.

    Raises:
        InputError: if it cannot be read, or kept.
    """
    folder, name = _place(model)
    file = folder / CONFIG_FILE
    try:
        before = file.read_text(encoding="utf-8") if file.exists() else ""
        return before, with_model(before, name, there, label)
    except (OSError, ValueError) as error:
        raise InputError(
            f"{file}: tells TensorFlow Serving of its models, and cannot be kept up to date ({error}). It stays as it "
            f"is: correct it, or move it away."
        ) from error
