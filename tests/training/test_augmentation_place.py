"""Images are made where training was measured to be faster; what is said of it has the numbers."""

import pytest

from keras_unet3d.training.augmentation_place import STEPS, AugmentationPlace
from keras_unet3d.training.crew import Crew


def place_of(resolved, *, has_gpu, **changes):
    return AugmentationPlace(resolved(changes), Crew(has_gpu=has_gpu))


def watched(place, waited, took):
    """What is said of one more step than is counted, all of them alike but the first, which takes a minute."""
    said = [place.after_step(60.0, 60.0), *(place.after_step(waited, took) for _ in range(STEPS))]
    assert said[:-1] == [None] * STEPS
    return said[-1]


def test_without_a_gpu_nothing_moves(resolved):
    place = place_of(resolved, has_gpu=False)
    said = watched(place, 0.5, 1.0)
    assert not place.on_device
    assert said == (
        "50% of the time goes by waiting for training tiles. "
        "To change that: more CPU cores, or fewer tiles of a larger network (--filters)."
    )
    assert watched(place, 0.5, 1.0) is None  # it is said once


@pytest.mark.parametrize("has_gpu", [True, False])
def test_where_little_is_waited_nothing_is_said(resolved, has_gpu):
    place = place_of(resolved, has_gpu=has_gpu)
    for _ in range(3):
        assert watched(place, 0.09, 1.0) is None
    assert not place.on_device


def test_a_gpu_that_waits_makes_the_images_and_keeps_to_it_where_that_is_faster(resolved):
    place = place_of(resolved, has_gpu=True)
    assert watched(place, 0.0, 0.25) is None
    assert watched(place, 0.25, 0.5).startswith("50% of the time goes by waiting for training tiles: from now on")
    assert place.on_device
    said = watched(place, 0.0, 0.25)
    assert place.on_device
    assert said == "4 steps a second where the GPU makes images, 2 where it does not. It goes on with them."
    for _ in range(3):
        assert watched(place, 0.0, 0.25) is None


def test_a_gpu_that_is_slower_with_it_goes_back_for_good(resolved):
    place = place_of(resolved, has_gpu=True)
    watched(place, 0.25, 0.5)
    assert watched(place, 0.0, 0.625) == (
        "1.6 steps a second where the GPU makes images, 2 where it does not. CPU threads make them again."
    )
    assert not place.on_device
    assert "--augment-on" not in watched(place, 0.25, 0.5)  # it was tried
    assert not place.on_device


def test_what_would_help_is_named_where_it_was_not_chosen(resolved):
    cpu = place_of(resolved, has_gpu=True, augment_on="cpu")
    assert "To change that: --augment-on device, which" in watched(cpu, 0.5, 1.0)
    elastic = place_of(resolved, has_gpu=True, engine="elasticdeform")
    assert "To change that: --augmentation compiled, which" in watched(elastic, 0.5, 1.0)
    assert not cpu.on_device
    assert not elastic.on_device


def test_what_was_chosen_stays(resolved):
    place = place_of(resolved, has_gpu=False, augment_on="device")
    assert place.on_device
    assert "--augment-on" not in watched(place, 0.5, 1.0)
    assert place.on_device


def test_several_processes_are_told_and_do_not_move(resolved):
    place = AugmentationPlace(resolved(), Crew(has_gpu=True, workers=2))
    assert "--augment-on device" in watched(place, 0.5, 1.0)
    assert not place.on_device


def test_a_gpu_that_cannot_make_images_is_given_up(resolved):
    place = place_of(resolved, has_gpu=True)
    watched(place, 0.25, 0.5)
    assert place.on_trial
    assert "(no libdevice). CPU threads make them again." in place.give_up("no libdevice")
    assert not place.on_device
    assert not place.on_trial
    assert "--augment-on" not in watched(place, 0.25, 0.5)
