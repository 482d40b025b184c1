from pathlib import Path

import numpy as np
import pytest

from keras_unet3d.errors import InputError
from keras_unet3d.volumes.declared import check_declared

FILE = Path("a.nii")


def test_a_volume_that_fits_passes():
    check_declared(FILE, (2, 3, 4), np.int16, stored=48)
    check_declared(FILE, (1000, 1000, 1), np.int16, stored=2000, packing=1032)


def test_a_file_one_byte_short_is_cut_off():
    with pytest.raises(InputError, match=r"x=4 y=3 z=2, 48 bytes, which its 47 stored"):
        check_declared(FILE, (2, 3, 4), np.int16, stored=47)


def test_more_than_gzip_can_pack_is_refused():
    with pytest.raises(InputError, match="cut off or damaged"):
        check_declared(FILE, (2000, 2000, 1), np.int16, stored=2000, packing=1032)


def test_more_than_memory_is_refused_with_both_amounts():
    with pytest.raises(InputError, match=r"takes 37252\.9 GiB .* GiB of memory are free"):
        check_declared(FILE, (20000, 20000, 20000), np.uint8)  # 1 byte in the file and 4 as float32 → 40e12 bytes
    with pytest.raises(InputError, match="memory"):
        check_declared(FILE, (2**31, 2**31, 2**31), np.float64)


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, -3, 4)])
def test_an_empty_axis_is_refused(shape):
    with pytest.raises(InputError, match="has no voxels"):
        check_declared(FILE, shape, np.int16)


def test_what_stays_in_the_file_takes_no_memory():
    check_declared(FILE, (20000, 20000, 20000), np.uint8, held=False, floats=False)
    with pytest.raises(InputError, match=r"takes 7450\.6 GiB"):
        check_declared(FILE, (20000, 20000, 20000), np.uint8, floats=False)
    with pytest.raises(InputError, match=r"takes 29802\.3 GiB"):
        check_declared(FILE, (20000, 20000, 20000), np.uint8, held=False)
    with pytest.raises(InputError, match="cut off"):
        check_declared(FILE, (2, 3, 4), np.int16, stored=47, held=False, floats=False)
