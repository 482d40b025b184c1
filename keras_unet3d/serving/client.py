"""A model on TensorFlow Serving, called without TensorFlow."""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from keras_unet3d.errors import InputError, WorkError
from keras_unet3d.serving.access import Access
from keras_unet3d.serving.description import ModelDescription, parse_description, read_description
from keras_unet3d.serving.protocol import METADATA, PREDICT, message, parsed
from keras_unet3d.serving.servers import Servers, Traffic
from keras_unet3d.serving.tensors import as_array, as_tensor, as_text


class Client:
    """A model that servers hold; `unet3d.segment` takes it where it takes a model.

    What the model is, its classes, channels, spacing and tiles, the server tells: our exports answer ``describe``. The
    version that answers first answers to the end.

    Example:
        >>> client = Client("gpu-server:8500", "kidney")
        >>> unet3d.segment("image.nii.gz", "labels.nii.gz", model=client)
    """

    def __init__(
        self,
        servers: str | Sequence[str],
        model_name: str = "unet3d",
        *,
        version: int | None = None,
        label: str | None = None,
        folder: str | Path | None = None,
        access: Access | None = None,
    ) -> None:
        """Name the servers; nothing is sent yet.

        Args:
            servers: ``host:port`` of gRPC; of several, all with the same model.
            model_name: as the servers know it.
            version: of the model; None is the newest.
            label: of a version, such as ``"stable"``, in place of it.
            folder: of a copy of the model, for one that does not describe itself.
            access: how they are called.

        Raises:
            InputError: if gRPC is not installed, or the call cannot be meant.
        """
        if version is not None and label is not None:
            raise InputError(f"Expected a version or a label. Received: version {version} and label {label!r}")
        addresses = [servers] if isinstance(servers, str) else list(dict.fromkeys(servers))
        if not addresses:
            raise InputError("Expected at least one server. Received: none")
        self.access = access or Access()
        self.model_name, self._version, self._label, self._folder = model_name, version, label, folder
        self._servers = Servers(addresses, self.access)

    def __str__(self) -> str:
        return f"{self.path} on {', '.join(self.servers)}"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def servers(self) -> tuple[str, ...]:
        """``host:port`` of each."""
        return self._servers.addresses

    @property
    def path(self) -> str:
        """Name and version, ``kidney/3``."""
        return f"{self.model_name}/{self.version}"

    @property
    def version(self) -> int:
        """Of the model, which all requests ask for."""
        return self._signatures[0]

    @property
    def traffic(self) -> Traffic:
        """What went over the network so far."""
        return self._servers.traffic

    @cached_property
    def description(self) -> ModelDescription:
        """What the model is.

        Raises:
            InputError: if it is none of ours, or not the one in `folder`.
            WorkError: if no server answers.
        """
        _, signatures = self._signatures
        if self._folder is not None:
            description = read_description(self._folder)
        elif "describe" in signatures:
            description = parse_description(self._described(), f"{self.path} on {self.servers[0]}")
        else:
            raise InputError(
                f"{self}: does not say what it is: it was exported before models did, or not by keras-unet3d. Export "
                f"it again, or name a copy of it with --model FOLDER (from Python: folder=)."
            )
        self._check(description, signatures)
        return description

    def probabilities(self, tiles: NDArray[np.float32], intensity: NDArray[np.float32]) -> NDArray[np.float32]:
        """Class probabilities ``(batch, z, y, x, class)`` of raw tiles, from ``serving_default``.

        Args:
            tiles: raw ``(batch, z, y, x, channel)``.
            intensity: offset and scale ``(batch, channel, 2)`` of the volumes they come from.

        Raises:
            InputError: if the model, or our right to ask it, is gone.
            WorkError: if no server answers, or what it answers makes no sense.
        """
        geometry = self.description.geometry.geometry
        expected = (
            tiles.shape[0],
            *(length - lost for length, lost in zip(tiles.shape[1:4], geometry.margins, strict=True)),
            len(self.description.classes),
        )
        reply = self._predict("serving_default", "probabilities", image=tiles, intensity=intensity)
        try:
            return as_array(reply, expected)
        except ValueError as error:
            raise WorkError(f"{self}: its answer cannot be read. {error}") from error

    def close(self) -> None:
        """Hang up."""
        self._servers.close()

    @cached_property
    def _signatures(self) -> tuple[int, dict[str, Any]]:
        """The version that answers, and its signatures by name."""
        if self._version is not None:
            asked = message("Model", name=self.model_name, version=message("Version", value=self._version))
        elif self._label is not None:
            asked = message("Model", name=self.model_name, version_label=self._label)
        else:
            asked = message("Model", name=self.model_name)
        request = message("MetadataRequest", model_spec=asked, metadata_field=["signature_def"])
        reply = self._servers.call(METADATA, request)
        signatures = {
            each.key: each.value
            for entry in reply.metadata
            if entry.key == "signature_def"
            for each in parsed("Signatures", entry.value.value, ", ".join(self.servers)).signature_def
        }
        return int(reply.model_spec.version.value), signatures

    def _described(self) -> bytes:
        reply = self._predict("describe", "description", batch=np.zeros(1, np.float32))
        try:
            return as_text(reply)
        except ValueError as error:
            raise WorkError(f"{self}: its answer cannot be read. {error}") from error

    def _predict(self, signature: str, output: str, **inputs: NDArray[np.float32]) -> Any:
        """The tensor of one output."""
        version = message("Version", value=self.version)
        request = message(
            "PredictRequest",
            model_spec=message("Model", name=self.model_name, version=version, signature_name=signature),
            inputs=[message("NamedTensor", key=name, value=as_tensor(array)) for name, array in inputs.items()],
            output_filter=[output],
        )
        reply = self._servers.call(PREDICT, request)
        answered = reply.model_spec.version.value
        if answered != self.version:
            raise WorkError(f"{self}: version {answered} answered in its place; its labels could be others.")
        found = [each.value for each in reply.outputs if each.key == output]
        if not found:
            raise WorkError(f"{self}: answered without {output!r}.")
        return found[0]

    def _check(self, description: ModelDescription, signatures: dict[str, Any]) -> None:
        """Compare with what the server says of its tensors."""
        signature = signatures.get("serving_default")
        found = {} if signature is None else _channels_last([*signature.inputs, *signature.outputs])
        expected = {"image": len(description.channels), "probabilities": len(description.classes)}
        if any(found.get(name) != number for name, number in expected.items()) or "intensity" not in found:
            raise InputError(
                f"{self}: is not the model that {self._folder or 'it says'}: that has {expected['image']} channels and "
                f"{expected['probabilities']} classes, and this serves {found or 'nothing of that kind'}."
            )


def _channels_last(tensors: Sequence[Any]) -> dict[str, int]:
    """The length of each tensor's last axis, by its name."""
    return {each.key: each.value.tensor_shape.dim[-1].size for each in tensors if each.value.tensor_shape.dim}
