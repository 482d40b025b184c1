"""Options that several commands share."""

from __future__ import annotations

import re
import tomllib
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keras_unet3d.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable

    from keras_unet3d.annotation import Dataset, Meaning

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]


class Sizes(click.ParamType):  # type: ignore[type-arg]
    """Whole numbers along the axes, as in ``'x=96 y=96 z=32'``; read as (z, y, x).

    Args:
        minimum: of each; where it is 0, axes can be left out.
    """

    name = "sizes"

    def __init__(self, minimum: int = 1) -> None:
        self._minimum = minimum

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002
        """What the help shows for a value."""
        return "'x=… y=… z=…'"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was typed; click hands a value that was read before in again."""
        from keras_unet3d.volumes.axes import parse_named

        if not isinstance(value, str):
            return value
        try:
            sizes = parse_named(value, minimum=self._minimum, missing=None if self._minimum else 0)
        except InputError as error:
            self.fail(str(error), param, ctx)
        if any(size != int(size) for size in sizes):
            self.fail(f"Expected whole numbers. Received: {value!r}", param, ctx)
        return tuple(int(size) for size in sizes)


class Channels(click.ParamType):  # type: ignore[type-arg]
    """An image: one file, or the files of its channels with commas between; read as a tuple of paths."""

    name = "image"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002
        """What the help shows for a value."""
        return "FILE[,FILE…]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was typed; click hands a value that was read before in again."""
        if not isinstance(value, str):
            return value
        # A comma within the name of a file that is there belongs to the name.
        parts = [value] if Path(value).exists() else value.split(",")
        if not all(parts):
            self.fail(
                f"Expected files with commas between, such as 'a_c0.nii,a_c1.nii'. Received: {value!r}", param, ctx
            )
        return tuple(Path(part) for part in parts)


class Memory(click.ParamType):  # type: ignore[type-arg]
    """An amount of memory, as in ``6GB``; read as bytes."""

    name = "memory"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002
        """What the help shows for a value."""
        return "6GB"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was typed; click hands a value that was read before in again."""
        from keras_unet3d.inference.budget import parse_memory

        if not isinstance(value, str):
            return value
        try:
            return parse_memory(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


class Region(click.ParamType):  # type: ignore[type-arg]
    """A part of a volume, as in ``'z=100:200 x=50:'``."""

    name = "region"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002
        """What the help shows for a value."""
        return "'z=100:200 x=50:'"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was typed; click hands a value that was read before in again."""
        from keras_unet3d.volumes.region import Region

        if not isinstance(value, str):
            return value
        try:
            return Region.parse(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


class Setting(click.ParamType):  # type: ignore[type-arg]
    """``network.filters=16``: the name of a setting and a TOML value; a value that is no TOML is text."""

    name = "setting"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002
        """What the help shows for a value."""
        return "NAME=VALUE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Read what was typed; click hands a value that was read before in again."""
        if not isinstance(value, str):
            return value
        name, equals, text = value.partition("=")
        name = name.strip()
        first, *others = name.split(".")
        if not equals or not first.isidentifier() or not all(others):  # which may be names of classes and channels
            self.fail(f"Expected a setting such as network.filters=16. Received: {value!r}", param, ctx)
        try:
            return name, tomllib.loads(f"value = {text.strip()}")["value"]
        except tomllib.TOMLDecodeError:
            return name, text.strip()


class SectionedCommand(click.Command):
    """A command whose many options are listed in sections.

    Args:
        sections: names of parameters by the title of their section; all others are listed last, under "Options".
    """

    def __init__(self, *arguments: Any, sections: dict[str, tuple[str, ...]], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self._sections = sections

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options of one section after those of the other."""
        options = [parameter for parameter in self.get_params(ctx) if isinstance(parameter, click.Option)]
        records = {option.name: option.get_help_record(ctx) for option in options}
        for title, names in self._sections.items():
            with formatter.section(title):
                formatter.write_dl([record for name in names if (record := records.pop(name))])
        with formatter.section("Options"):
            formatter.write_dl([record for record in records.values() if record])


def _all_of(*options: Decorator) -> Decorator:
    """One decorator of several, in the order of the help."""
    return lambda function: reduce(lambda wrapped, option: option(wrapped), reversed(options), function)


def model_name(_context: click.Context, _parameter: click.Parameter, value: str | None) -> str | None:
    """Make sure that an option can be the name of a model and its folder."""
    if value is not None and (not re.fullmatch(r"\w[\w.-]*", value) or value.isdigit()):
        raise click.BadParameter(
            f"Expected a name for a folder, such as kidney; a number would be a version. Received: {value!r}"
        )
    return value


debug_option = click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks and TensorFlow's logs.")
quiet_option = click.option("--quiet", is_flag=True, help="Say nothing but warnings and errors.")
json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as one JSON object on stdout.")

meaning_options = _all_of(
    click.option(
        "--annotated-slices",
        multiple=True,
        metavar="'z=12,31 y=80'",
        help="0 is background in these slices (counted from 0) and unlabelled elsewhere. 'NAME:z=12,31' says it of one "
        "case; repeat for others.",
    ),
    click.option("--unlabeled", type=int, metavar="V", help="The value of voxels without a label; 0 may be it."),
    click.option("--dense", is_flag=True, help="0 is background everywhere, though only few slices are painted."),
)

dataset_options = _all_of(
    click.argument("dataset", required=False, type=click.Path(path_type=Path)),
    click.option(
        "--image",
        "images",
        type=Channels(),
        multiple=True,
        help="An image, instead of DATASET; its channels in several files with commas between. Repeat for more images.",
    ),
    click.option(
        "--annotation",
        "annotations",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="FILE",
        help="The annotation of each --image, in the same order.",
    ),
)


def read_meaning(annotated_slices: tuple[str, ...], unlabeled: int | None, *, dense: bool) -> Meaning:
    """What `meaning_options` say."""
    from keras_unet3d.annotation import Meaning, slices_by_case

    return Meaning(slices_by_case(annotated_slices), unlabeled, dense)


def choose_dataset(dataset: Path | None, images: tuple[Any, ...], annotations: tuple[Path, ...]) -> Path | Dataset:
    """What `dataset_options` name: a folder, or pairs of files.

    Raises:
        UsageError: if they name both, or neither.
    """
    pairs = bool(images or annotations)
    if pairs == (dataset is not None):
        received = "Received: both" if pairs else "Received: neither"
        raise click.UsageError(
            "Expected either the folder of a dataset, or --image FILE --annotation FILE for each annotated volume. "
            f"{received}."
        )
    if dataset is not None:
        return dataset
    from keras_unet3d.annotation import dataset_from_pairs

    return dataset_from_pairs(images, annotations)
