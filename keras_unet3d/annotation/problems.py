"""What is wrong with a dataset: one line per problem, with its file and its fix."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from keras_unet3d.errors import InputError


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong, or looks wrong, with a dataset.

    Attributes:
        file: the file or folder, as the user would name it.
        found: what was found and what was expected; whole sentences.
        fix: what to do about it; empty where `found` says it.
        severity: an error stops the work, a warning is only said.
    """

    file: str
    found: str
    fix: str = ""
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return " ".join(part for part in (f"{self.file}:", self.found, self.fix) if part)

    @classmethod
    def of(cls, file: str, error: InputError) -> "Problem":
        """The problem that an error tells of, without naming the file twice."""
        return cls(file, str(error).removeprefix(f"{file}: "))


def raise_errors(problems: Iterable[Problem]) -> None:
    """Raise all the errors among `problems` as one, a line each; warnings pass.

    Raises:
        InputError: if there is an error among them.
    """
    errors = [str(problem) for problem in problems if problem.severity == "error"]
    if errors:
        raise InputError("\n".join(errors))
