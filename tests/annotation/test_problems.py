import pytest

from keras_unet3d.annotation.problems import Problem, raise_errors
from keras_unet3d.errors import InputError

ERROR = Problem("labels/a.nii", "is empty.", "Export it again.")
WARNING = Problem("images/", "there is one case.", severity="warning")


def test_a_problem_is_one_line_with_file_and_fix():
    assert str(ERROR) == "labels/a.nii: is empty. Export it again."
    assert str(WARNING) == "images/: there is one case."


def test_the_file_is_named_once():
    assert str(Problem.of("a.nii", InputError("a.nii: is empty."))) == "a.nii: is empty."


def test_errors_come_together_and_warnings_pass():
    raise_errors([WARNING])
    with pytest.raises(InputError) as error:
        raise_errors([ERROR, WARNING, ERROR])
    assert str(error.value) == f"{ERROR}\n{ERROR}"
