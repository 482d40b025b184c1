from dataclasses import replace

import numpy as np

from keras_unet3d.evaluation.slice_choice import SHOWN, Profile, kinds_in_words, slices_to_show


def chosen(case, axis):
    return {shown.index: shown for shown in slices_to_show(Profile.of(case)) if shown.axis == axis}


def test_a_profile_counts_what_each_slice_holds(case):
    profile = Profile.of(case)
    assert profile.wrong[0].tolist() == [0, 0, 0, 7, 0, 0, 0, 0]
    assert profile.structure[0].tolist() == [0, 0, 48, 50, 48, 48, 0, 0]
    assert (profile.labelled[1] == 8 * 16).all()
    assert profile.unsure[0].tolist() == [0, 0, 0, 4, 0, 96, 0, 0]
    assert profile.wrong[1].sum() == profile.wrong[2].sum() == 7


def test_the_worst_slice_comes_first_and_the_least_certain_one_is_there(case):
    of_z = chosen(case, "z")
    assert of_z[3].first
    assert of_z[3].why == "the slice with most disagreement"
    assert of_z[5].why == "the least certain slice"
    assert set(of_z) <= set(range(2, 6))  # where there is any structure
    assert len(chosen(case, "x")) == SHOWN["x"]


def test_where_few_slices_are_annotated_these_are_shown_and_the_least_certain_one(case):
    truth = np.full_like(case.truth, -1)
    truth[2] = case.truth[2]
    sparse = replace(case, truth=truth)
    assert set(chosen(sparse, "z")) == {2, 5}


def test_without_anything_to_compare_the_slice_with_most_structure_comes_first(case):
    plain = replace(case, truth=None, uncertainty=None)
    assert [index for index, shown in chosen(plain, "z").items() if shown.first] == [2]
    nothing = replace(plain, prediction=None)
    assert len(chosen(nothing, "z")) == 8


def test_a_slice_is_said_in_words():
    assert kinds_in_words(np.array([1, 1, 0, 0, 2, 5])) == (
        "1 of 5 labelled voxels differ (20.0%): 1 false negative; IoU of all structures 0.67"
    )
    assert kinds_in_words(np.array([5, 5])) == "nothing here is annotated"
