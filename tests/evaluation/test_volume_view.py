import base64
import gzip
import json
import re
from dataclasses import replace
from math import prod

import nibabel
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.evaluation.volume_view import VolumeView, view_grid, views_html
from keras_unet3d.volumes import Grid


def nifti(file):
    return nibabel.Nifti1Image.from_bytes(gzip.decompress(base64.b64decode(file)))


def test_a_small_case_is_shown_as_it_is_where_it_lies(case):
    turned = Grid(case.grid.shape, case.grid.spacing, (5.0, 6.0, 7.0), ((0, 1, 0), (0, 0, -1), (1, 0, 0)), "µm")
    view = VolumeView.of(replace(case, grid=turned))
    assert [name for name, _ in view.images] == ["one", "two"]
    assert [each.name for each in view.maps] == ["Prediction", "Annotation", "Disagreement"]
    image, found = nifti(view.images[0][1]), nifti(view.maps[0].file)
    np.testing.assert_allclose(image.affine, np.diag([-1, -1, 1, 1]) @ turned.affine)
    assert image.header.get_xyzt_units()[0] == "micron"
    np.testing.assert_array_equal(np.asarray(found.dataobj).T, case.prediction + 1)
    assert np.asarray(image.dataobj).dtype == np.uint8
    assert view.spacing_words == "a <case>: all of its x=16 y=12 z=8 voxels of x=1 y=1 z=2 µm."


def test_disagreement_is_a_map_of_its_own_in_which_agreement_is_hidden(case):
    maps = {each.name: each for each in VolumeView.of(case).maps}
    counts = np.bincount(np.asarray(nifti(maps["Disagreement"].file).dataobj).ravel())
    assert counts[1:].tolist() == [4 * 48 - 5, 4, 2, 1]
    assert [shown for _, _, shown in maps["Disagreement"].classes] == [False, True, True, True]
    assert [shown for _, _, shown in maps["Prediction"].classes] == [False, True, True]


def test_slices_alone_are_no_map_to_look_at_from_all_sides(case):
    truth = np.full_like(case.truth, -1)
    truth[2] = case.truth[2]
    assert [each.name for each in VolumeView.of(replace(case, truth=truth)).maps] == ["Prediction"]


def test_a_large_case_is_reduced_and_says_to_which_spacing(case):
    view = VolumeView.of(case, most=2 * 200)
    assert prod(view.grid.shape) <= 200
    assert "reduced to" in view.spacing_words
    assert "from x=16 y=12 z=8" in view.spacing_words
    image, found = nifti(view.images[0][1]), nifti(view.maps[0].file)
    assert image.shape == found.shape == view.grid.shape[::-1]
    values, counts = np.unique(np.asarray(found.dataobj), return_counts=True)
    assert dict(zip(values.tolist(), counts.tolist(), strict=True))[2] > 0.8 * 192 * 200 / prod(case.grid.shape)


@given(
    st.tuples(*[st.integers(1, 300)] * 3),
    st.tuples(*[st.floats(0.1, 10)] * 3),
    st.integers(1, 100_000),
)
def test_a_view_has_at_most_so_many_voxels_and_no_finer_ones(shape, spacing, most):
    grid = Grid(shape, spacing)
    found = view_grid(grid, most)
    assert prod(found.shape) <= most
    assert all(new >= old * 0.999 for new, old in zip(found.spacing, grid.spacing, strict=True))
    if prod(shape) > most > 1000 and min(shape) > 8:
        assert prod(found.shape) > most / 2


def test_names_cannot_leave_the_script_that_holds_them(case):
    page = views_html([VolumeView.of(replace(case, name="</script><b>"))])
    assert "<b>" not in page
    described = json.loads(re.search(r'class="views">(.*?)</script>', page)[1])
    assert described[0]["name"] == "</script><b>"
    assert re.search(rf'id="{described[0]["maps"][0]["file"]}">H4sI', page)
