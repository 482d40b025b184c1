"""Cases are scored one at a time, ranked, and shown."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import keras_unet3d as unet3d
from keras_unet3d.annotation import LabelScheme
from keras_unet3d.jobs.case_study import CaseStudy, KnownCase
from keras_unet3d.serving.description import ModelDescription, TileGeometry, describe_classes
from keras_unet3d.serving.saved_model import LoadedModel

SCHEME = LabelScheme((0, 7), ("background", "cell"))


@pytest.fixture
def says_cell(random_network):
    """A model that takes every voxel for a cell, with a probability of 0.88: an uncertainty of 0.53."""
    description = ModelDescription(
        classes=describe_classes(SCHEME),
        channels=("grey",),
        normalization="batch",
        filters=1,
        geometry=TileGeometry(padding="same", depth=1),
        training={"learned_from": ["half"]},
    )
    network = random_network(1, 2, filters=1, depth=1, padding="same", normalization="batch")
    kernel, bias = network.layers[-1].weights
    kernel.assign(np.zeros(kernel.shape))
    bias.assign([0, 2])
    return LoadedModel(Path("says_cell"), description, network)


def known(name, cells):
    """x=4 y=5 z=6 voxels, the first planes of z of which are cells."""
    image = unet3d.Volume(np.random.default_rng(0).random((6, 5, 4, 1), dtype=np.float32), unet3d.Grid((6, 5, 4)))
    truth = np.zeros((6, 5, 4), np.int16)
    truth[:cells] = 1
    return KnownCase(name, image, truth)


def test_the_worst_the_median_and_the_best_are_shown_and_no_more_is_held(tmp_path, says_cell):
    cases = [known("all", 6), known("half", 3), known("few", 1), known("most", 5)]
    study = CaseStudy(says_cell, tmp_path)
    for case in cases:
        study.add(case)
    assert [case.name for case in study.scores.cases] == ["few", "half", "most", "all"]
    assert study.scores.cases[1].scores.classes[1].iou == 0.5
    asked = []

    def load(number):
        asked.append(number)
        return cases[number]

    sections = {section.heading: "".join(section.parts) for section in study.sections(load)}
    assert [cases[number].name for number in asked] == ["few", "most", "all"]
    assert "few: the worst of 4 cases" in sections["Slices"]
    assert "1 of these 4 cases" in sections["Scores"]
    assert "half" in sections["Cases, worst first"]
    # 9 of 24 planes are wrong, and all voxels are as unsure
    assert "37.5% of the 480 labelled voxels are wrong" in sections["Is it unsure where it is wrong?"]
    assert "The 100.0% that are least certain" in sections["Is it unsure where it is wrong?"]
    assert sections["From all sides"].count('type="application/octet-stream"') == 3 * (1 + 3)


def test_of_two_cases_one_is_the_best_and_none_the_median(tmp_path, says_cell):
    cases = [known("all", 6), known("few", 1)]
    study = CaseStudy(says_cell, tmp_path)
    for case in cases:
        study.add(case)
    (slices,) = ["".join(each.parts) for each in study.sections(cases.__getitem__) if each.heading == "Slices"]
    assert "few: the worst of 2 cases" in slices
    assert "all: the best of 2 cases" in slices


def test_a_case_in_voxels_among_cases_in_mm_is_scored_by_its_overlap(tmp_path, says_cell):
    study = CaseStudy(says_cell, tmp_path)
    for unit in ("mm", ""):
        case = known(f"in {unit or 'voxels'}", 5)
        study.add(replace(case, image=replace(case.image, grid=unet3d.Grid((6, 5, 4), unit=unit))))
    measured = {case.name: case.scores.classes[1].hausdorff for case in study.scores.cases}
    assert measured["in mm"] == 1  # one plane
    assert math.isnan(measured["in voxels"])
    assert "its voxels are in voxels, those of others in mm" in "".join(study.sections(lambda _: case)[0].parts)


def test_a_label_map_goes_where_it_is_wanted(tmp_path, says_cell):
    CaseStudy(says_cell, tmp_path).add(known("all", 6), tmp_path / "all.nii.gz")
    assert (unet3d.read_labels(tmp_path / "all.nii.gz").voxels == 7).all()


def test_segment_writes_a_page_with_volumes_beside_its_labels(tmp_path, says_cell):
    voxels = np.random.default_rng(0).random((6, 5, 4, 1), dtype=np.float32)
    grid = unet3d.Grid((6, 5, 4), (2.0, 0.5, 0.5), unit="mm")
    unet3d.write_image(tmp_path / "<a>.nii.gz", unet3d.Volume(voxels, grid))
    options = unet3d.SegmentOptions(report=tmp_path / "page.html")
    unet3d.segment(tmp_path / "<a>.nii.gz", tmp_path / "labels.nii.gz", model=says_cell, options=options)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert "<h1>Segmentation of &lt;a&gt;.nii.gz</h1>" in page
    assert "<td>100.00%</td><td>60</td>" in page  # 120 voxels of 0.5 mm³
    assert "<figcaption>Uncertainty</figcaption>" in page
    assert "<figcaption>Disagreement</figcaption>" not in page
    assert sorted(path.name for path in tmp_path.iterdir()) == ["<a>.nii.gz", "labels.nii.gz", "page.html"]


def test_a_page_takes_the_place_of_nothing_else(tmp_path, says_cell):
    image = known("a", 1).image
    options = unet3d.SegmentOptions(report=tmp_path / "scan.nii.gz")
    with pytest.raises(unet3d.InputError, match=r"scan\.nii\.gz: a page is called"):
        unet3d.segment(image, model=says_cell, options=options)
    with pytest.raises(unet3d.InputError, match="does not exist"):
        unet3d.segment(image, model=says_cell, options=unet3d.SegmentOptions(report=tmp_path / "no" / "page.html"))
