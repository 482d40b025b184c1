import pytest

from keras_unet3d.annotation import AnnotatedSlices, LabelScheme
from keras_unet3d.annotation.meaning import Meaning
from keras_unet3d.errors import InputError

SLICES = AnnotatedSlices(z=(1,))
CASES = ["a", "b"]
ZERO_IS_UNLABELED = LabelScheme((1, 2), ("cell", "background"), unlabeled=0)


@pytest.mark.parametrize("scheme", [None, ZERO_IS_UNLABELED])
def test_zero_cannot_be_background_and_unlabelled(scheme):
    with pytest.raises(InputError, match="only one of --annotated-slices and --unlabeled 0"):
        Meaning(SLICES, unlabeled=0).check(scheme, CASES)
    with pytest.raises(InputError, match="--dense says that 0 is background everywhere"):
        Meaning(dense=True, unlabeled=0).check(scheme, CASES)


def test_dense_is_for_the_cases_without_annotated_slices():
    with pytest.raises(InputError, match="--dense"):
        Meaning(SLICES, dense=True).check(None, CASES)
    meaning = Meaning({"a": SLICES}, dense=True)
    meaning.check(None, CASES)
    assert meaning.slices_of("a") == SLICES
    assert meaning.slices_of("b") is None


def test_slices_for_all_cases():
    assert Meaning(SLICES).slices_of("a") == Meaning(SLICES).slices_of("b") == SLICES
    assert Meaning().slices_of("a") is None


def test_annotated_slices_make_0_a_class():
    scheme = LabelScheme((1, 2), ("cell", "wall"), unlabeled=9)
    assert Meaning(SLICES).declared(scheme).values == (0, 1, 2)
    assert Meaning().declared(scheme).values == (1, 2)


def test_slices_of_a_case_that_is_not_there():
    with pytest.raises(InputError, match="given for c; the cases are a, b"):
        Meaning({"c": SLICES}).check(None, CASES)


def test_it_is_said_in_the_words_of_the_command_line():
    assert str(Meaning()) == "what the file says"
    assert str(Meaning(SLICES, dense=True)) == "--annotated-slices z=1 --dense"
    assert str(Meaning(AnnotatedSlices(z=(1, 2), y=(3,)))) == "--annotated-slices 'z=1,2 y=3'"
    assert str(Meaning({"b": SLICES, "a": SLICES}, unlabeled=7)) == (
        "--annotated-slices a:z=1 --annotated-slices b:z=1 --unlabeled 7"
    )
