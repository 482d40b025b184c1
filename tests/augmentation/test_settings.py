import pytest

from keras_unet3d.augmentation.settings import AugmentationSettings
from keras_unet3d.errors import InputError


def test_the_deformation_is_the_papers():
    assert AugmentationSettings().sigma == 4
    assert AugmentationSettings(displacement_sigma=0.0).sigma == 0
    assert AugmentationSettings().displacement_spacing == 32


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"displacement_sigma": -1}, "displacement_sigma .* Received: -1"),
        ({"displacement_sigma": float("nan")}, "displacement_sigma"),
        ({"displacement_spacing": 0}, "at least 4. Received: 0"),
        ({"rotation_degrees": (0, 0, 200)}, "0 to 180 .* x=200 y=0 z=0"),
        ({"scaling": (1.2, 0.8)}, "scaling .* Received: 1.2 to 0.8"),
        ({"gamma": (0, 1)}, "gamma"),
        ({"noise": -0.1}, "noise"),
        ({"mirror": ("z", "w")}, "mirror .* Received: 'w'"),
    ],
)
def test_ranges_that_cannot_be_are_refused_with_what_was_given(wrong, message):
    with pytest.raises(InputError, match=message):
        AugmentationSettings(**wrong)
