"""What may be asked of a segmentation."""

import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.inference.options import SegmentOptions


def test_options_that_nobody_knows_are_refused():
    with pytest.raises(InputError, match=r"precision.*'float16'"):
        SegmentOptions(precision="float16")
    with pytest.raises(InputError, match=r"statistics.*'moving'"):
        SegmentOptions(statistics="moving")
    with pytest.raises(InputError, match=r"memory.*0"):
        SegmentOptions(memory=0)
