import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from keras_unet3d.annotation import UNLABELED, LabelScheme
from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Segment

KIDNEY = LabelScheme((0, 1, 2), ("inside", "tubule", "background"), unlabeled=3)


@pytest.mark.parametrize(
    "labels",
    [
        {"0": "inside", "1": "tubule", "2": "background", "3": "Unlabelled"},
        {"inside": 0, "tubule": 1, "background": 2, "IGNORE": 3},
        {"unlabeled": 3, "background": 2, "tubule": 1, "inside": 0},
    ],
)
def test_both_forms_of_dataset_json_mean_the_same(labels):
    assert LabelScheme.from_names(labels) == KIDNEY


def test_the_background_is_the_class_of_that_name_else_that_of_value_0():
    assert KIDNEY.background == 2
    assert LabelScheme((0, 5), ("nothing", "cell")).background == 0
    assert LabelScheme((1, 5), ("a", "b")).background is None


def test_zero_may_be_the_unlabelled_value():
    scheme = LabelScheme.from_names({"0": "unlabeled", "1": "cell", "2": "background"})
    assert scheme.values == (1, 2)
    assert scheme.class_index(np.array([[0, 1, 2]])).tolist() == [[UNLABELED, 0, 1]]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"background": 0, "whole tumour": [1, 2]}, "region"),
        ({"0": "background"}, "at least two classes"),
        ({"background": 0, "ignore": 1}, "at least two classes"),
        ({"background": 0, "cell": 0}, "same value"),
        ({"0": "cell", "1": "cell"}, "same name"),
        ({"a": 0, "b": 1, "ignore": 2, "unlabeled": 3}, "Only one value"),
        ({"background": "zero", "cell": "one"}, "Expected labels such as"),
        ({"background": 0, "cell": 2**40}, "32 bits"),
    ],
)
def test_labels_that_mean_nothing_are_refused(labels, words):
    with pytest.raises(InputError, match=words):
        LabelScheme.from_names(labels)


def test_values_that_are_no_class_are_listed_but_only_a_few():
    with pytest.raises(InputError, match=r"7, 8, 9, 10, 11 and 2 more are no class; expected 0 \(inside\).* 3 \(unlab"):
        KIDNEY.class_index(np.array([0, 3, *range(7, 14)]))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.integers(-(2**31), 2**31 - 1), min_size=2, max_size=6, unique=True),
    hnp.arrays(np.int16, hnp.array_shapes(min_dims=1, max_dims=3, max_side=4), elements=st.integers(-1, 4)),
)
def test_values_come_back_as_annotated(values, class_index):
    *classes, unlabeled = values
    class_index = np.minimum(class_index, len(classes) - 1)
    scheme = LabelScheme(tuple(classes), tuple(f"label {value}" for value in classes), unlabeled=unlabeled)
    labels = scheme.label_values(class_index)
    assert set(np.unique(labels)) <= set(values)
    np.testing.assert_array_equal(scheme.class_index(labels), class_index)


@pytest.mark.parametrize(
    ("values", "dtype"), [((0, 255), "uint8"), ((0, 256), "uint16"), ((-1, 4), "int32"), ((0, 65536), "int32")]
)
def test_the_smallest_type_is_written(values, dtype):
    scheme = LabelScheme(values, ("a", "b"))
    assert scheme.label_values(np.array([0, 1])).dtype == dtype
    assert scheme.label_values(np.array([0, 1])).tolist() == list(values)


def test_an_unlabelled_voxel_without_a_value_for_it_is_a_mistake():
    with pytest.raises(ValueError, match="no value for that"):
        LabelScheme((0, 1), ("a", "b")).label_values(np.array([0, UNLABELED]))


def test_without_names_the_values_and_the_segments_speak():
    segments = {2: Segment("vessel", (200, 10, 10)), 9: Segment("ignore")}
    scheme = LabelScheme.from_values({9, 0, 7, 2}, segments)
    assert scheme.names == ("background", "vessel", "label 7")
    assert scheme.colours == (None, (200, 10, 10), None)
    assert scheme.unlabeled == 9


def test_declaring_a_value_unlabelled_takes_its_class_away():
    scheme = LabelScheme((0, 4, 5), ("background", "cell", "wall")).with_unlabeled(4)
    assert (scheme.values, scheme.names, scheme.unlabeled) == ((0, 5), ("background", "wall"), 4)
    with pytest.raises(InputError, match="4 is unlabelled, the call says 5"):
        scheme.with_unlabeled(5)


def test_zero_becomes_a_class_in_its_place():
    scheme = LabelScheme((-2, 1), ("a", "b"), unlabeled=9).with_background()
    assert (scheme.values, scheme.names) == ((-2, 0, 1), ("a", "background", "b"))


def test_classes_of_another_scheme_are_known_by_their_value():
    model = LabelScheme((0, 1, 2), ("background", "a", "b"))
    painted = model.with_unlabeled(0)  # its class 0 is the model's class 1
    found = model.index_of(np.array([0, 1, UNLABELED], np.int16), painted)
    assert found.tolist() == [1, 2, UNLABELED]
    with pytest.raises(InputError, match="The label values 0 are no class; expected 1"):
        painted.index_of(np.array([0], np.int16), model)
    assert painted.index_of(np.array([1, 2], np.int16), model).tolist() == [0, 1]


def test_segments_hold_names_and_colours():
    scheme = LabelScheme((0, 1), ("background", "cell"), (None, (1, 2, 3)), unlabeled=255)
    assert scheme.segments[1] == Segment("cell", (1, 2, 3))
