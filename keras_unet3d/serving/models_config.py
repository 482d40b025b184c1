"""``models.config``: which models TensorFlow Serving serves, which of their versions, and what these are called.

Where a model has labels, the server has to be told the versions that it holds, as a label can only be given to one of
them: those with a label, and the newest, which answers whoever names neither version nor label. A label that moves to
another version needs both for a while: the server gives it to the new one once that is loaded, and until then the old
one answers to it. So the old one stays until the next change.

https://www.tensorflow.org/tfx/serving/serving_config
"""

import json
import re
from collections.abc import Sequence

from keras_unet3d.serving.config_text import Field, read_text

Label = tuple[str, int]
"""What a version is called, and which."""

_MOUNTED = "/models"
"""Where the folder of all models lies for the server, unless the file says otherwise."""


def with_model(text: str, name: str, there: Sequence[int], label: Label | None = None) -> str:
    """Name a model in the text of a ``models.config``, and give a version of it a label.

    Nothing is changed that need not be. An entry without labels is left as it is, where it stays without.

    Args:
        text: of the file; empty for a new one.
        name: of the model, and of its folder.
        there: its versions.
        label: what to call a version, and which.

    Returns:
        The text, which may be the same.

    Raises:
        ValueError: if it cannot be read, or names the model or its labels in a way that cannot be kept.
    """
    models = _list_of_models(text)
    entries = [] if models is None else models.all("config")
    named = [entry for entry in entries if entry.all("name")[0].string == name]
    if len(named) > 1:
        raise ValueError(f"{name} is named {len(named)} times")
    if named:
        return _relabelled(text, named[0], name, there, label)
    policy = _policy(dict([label]), sorted({label[1], *there[-1:]})) if label else ""
    added = _new_entry(name, _mounted(entries), policy)
    if models is None:
        return f"{text.rstrip()}\n\nmodel_config_list {{\n{added}}}\n".lstrip()
    return f"{text[: models.inner_stop].rstrip()}\n{added}{text[models.inner_stop :]}"


def served_only(text: str, name: str) -> list[int] | None:
    """The versions of a model that are served; None where the newest is, or all are, or it is not named.

    Raises:
        ValueError: if the text cannot be read.
    """
    models = _list_of_models(text)
    entries = [each for each in models.all("config") if each.all("name")[0].string == name] if models else []
    return _specific(entries[0]) if entries else None


def _list_of_models(text: str) -> Field | None:
    file = read_text(text)
    lists = file.all("model_config_list")
    if len(lists) != len(file.fields) or len(lists) > 1 or any(each.text for each in lists):
        raise ValueError("one model_config_list was expected, and nothing beside it")
    for entry in lists[0].all("config") if lists else []:
        if len(entry.all("name")) != 1:
            raise ValueError("each config needs one name")
    return lists[0] if lists else None


def _mounted(entries: Sequence[Field]) -> str:
    """Where models lie for the server: where one lies in a folder of its name."""
    for entry in entries:
        for path in entry.all("base_path"):
            before, _, last = path.string.rstrip("/").rpartition("/")
            if last == entry.all("name")[0].string:
                return before
    return _MOUNTED


def _relabelled(text: str, entry: Field, name: str, there: Sequence[int], label: Label | None) -> str:
    """The text with the labels of a model, and the versions that these need."""
    if any(len(each.all("key")) != 1 or len(each.all("value")) != 1 for each in entry.all("version_labels")):
        raise ValueError("each of version_labels needs a key and a value")
    written = {each.all("key")[0].string: each.all("value")[0].integer for each in entry.all("version_labels")}
    if not written and label is None:
        return text
    labels = written if label is None else written | {label[0]: label[1]}
    lost = [key for key, version in labels.items() if version not in there]
    if lost:
        raise ValueError(
            f"{name} has the label {lost[0]} for version {labels[lost[0]]}, which is not there; remove the label, or "
            f"move it with --label {lost[0]}"
        )
    policies, pinned = entry.all("model_version_policy"), _specific(entry)
    everything = any(policy.all("all") for policy in policies)
    replaced = {written[label[0]]} if label and label[0] in written else set()
    versions = sorted(
        {*labels.values(), *there[-1:], *(set(there) & (replaced if written else {*replaced, *(pinned or ())}))}
    )
    if labels == written and (everything or (pinned is not None and sorted(set(pinned)) == versions)):
        return text
    inner = text[entry.inner_start : entry.inner_stop]
    for start, stop in sorted({(each.start, each.stop) for each in (*policies, *entry.all("version_labels"))})[::-1]:
        inner = _without(inner, start - entry.inner_start, stop - entry.inner_start)
    inner = f"{inner.rstrip()}\n{_policy(labels, None if everything else versions)}  "
    return text[: entry.inner_start] + inner + text[entry.inner_stop :]


def _without(text: str, start: int, stop: int) -> str:
    """The text without a part of it, and without the line that it leaves empty."""
    before, after = text[:start].rstrip(" \t"), text[stop:].lstrip(" \t")
    if before.endswith("\n") or not before:
        return before + after.removeprefix("\n")
    return f"{before} {after}"


def _specific(entry: Field) -> list[int] | None:
    """The versions that a model is confined to; None where the newest is served, or all are."""
    chosen = [each for policy in entry.all("model_version_policy") for each in policy.all("specific")]
    return [version.integer for each in chosen for version in each.all("versions")] if chosen else None


def _policy(labels: dict[str, int], versions: Sequence[int] | None) -> str:
    """The part of an entry that says so; without versions all are served."""
    listed = "".join(f"        versions: {version}\n" for version in versions or ())
    policy = "      all {\n      }\n" if versions is None else f"      specific {{\n{listed}      }}\n"
    named = "".join(
        f"    version_labels {{\n      key: {_quoted(key)}\n      value: {version}\n    }}\n"
        for key, version in labels.items()
    )
    return f"    model_version_policy {{\n{policy}    }}\n{named}"


def _new_entry(name: str, mounted: str, policy: str) -> str:
    path = _quoted(f"{mounted}/{name}")
    plain = f'    name: {_quoted(name)}\n    base_path: {path}\n    model_platform: "tensorflow"\n'
    return f"  config {{\n{plain}{policy}  }}\n"


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def is_label(text: str) -> bool:
    """Whether requests can name a version so, in addresses, too."""
    return re.fullmatch(r"[A-Za-z_][\w.-]*", text, re.ASCII) is not None
