import numpy as np
import pytest
import SimpleITK

from keras_unet3d.errors import InputError
from keras_unet3d.volumes import Grid, Segment, Volume, read_labels, slabs, write_labels

GRID = Grid((4, 5, 6), (3.0, 2.0, 1.0), (10.0, 20.0, 30.0), unit="mm")


def slicers(path, layers, *segments, origin=(0.0, 0.0, 0.0), **metadata):
    """A file as 3D Slicer saves it: `layers` (z, y, x[, layer]), segments as (name, value, layer, colour)."""
    image = SimpleITK.GetImageFromArray(layers, isVector=layers.ndim == 4)
    image.SetOrigin(origin)
    for number, (name, value, layer, colour) in enumerate(segments):
        keys = {"ID": f"Segment_{number + 1}", "Name": name, "Color": colour, "LabelValue": value, "Layer": layer}
        for key, text in keys.items():
            if text is not None:
                image.SetMetaData(f"Segment{number}_{key}", str(text))
    for key, text in metadata.items():
        image.SetMetaData(key, text)
    SimpleITK.WriteImage(image, str(path), useCompression=True)
    return path


def test_segments_are_values_with_names_and_colours(tmp_path):
    layer = np.zeros((4, 5, 6), np.uint8)
    layer[1, 2, 3], layer[2] = 1, 4
    file = slicers(tmp_path / "a.seg.nrrd", layer, ("tubule", 1, 0, "1 0.5 0"), ("lumen", 4, 0, "0 0 1"))
    labels = read_labels(file)
    np.testing.assert_array_equal(labels.voxels, layer)
    assert labels.segments == {1: Segment("tubule", (255, 128, 0)), 4: Segment("lumen", (0, 0, 255))}


def test_layers_become_one_label_map(tmp_path):
    layers = np.zeros((4, 5, 6, 2), np.uint8)
    layers[0, ..., 0], layers[1, ..., 0], layers[2, ..., 1] = 1, 2, 3
    segments = [("a", 1, 0, "1 0 0"), ("b", 2, 0, "0 1 0"), ("c", 3, 1, "0 0 1")]
    labels = read_labels(slicers(tmp_path / "a.seg.nrrd", layers, *segments))
    assert labels.voxels[:, 0, 0].tolist() == [1, 2, 3, 0]
    assert {value: segment.name for value, segment in labels.segments.items()} == {1: "a", 2: "b", 3: "c"}


def test_segments_that_share_a_value_are_numbered(tmp_path):
    layers = np.zeros((4, 5, 6, 2), np.uint8)
    layers[0, ..., 0], layers[2, ..., 1] = 1, 1
    labels = read_labels(slicers(tmp_path / "a.seg.nrrd", layers, ("a", 1, 0, "1 0 0"), ("b", 1, 1, "0 1 0")))
    assert labels.voxels[:, 0, 0].tolist() == [1, 0, 2, 0]
    assert labels.segments[2].name == "b"


def test_files_of_3d_slicer_4_10_have_a_layer_per_segment(tmp_path):
    layers = np.zeros((4, 5, 6, 2), np.uint8)
    layers[0, ..., 0], layers[2, ..., 1] = 1, 1
    labels = read_labels(
        slicers(tmp_path / "a.seg.nrrd", layers, ("a", None, None, "1 0 0"), ("b", None, None, "0 1 0"))
    )
    assert labels.voxels[:, 0, 0].tolist() == [1, 0, 2, 0]


def test_overlap_is_refused_by_name_and_place(tmp_path):
    layers = np.zeros((4, 5, 6, 2), np.uint8)
    layers[0, ..., 0], layers[0, 1, 2:4, 1] = 1, 2
    file = slicers(tmp_path / "a.seg.nrrd", layers, ("vessel", 1, 0, "1 0 0"), ("lumen", 2, 1, "0 1 0"))
    with pytest.raises(InputError, match="'vessel' and 'lumen' overlap in 2 voxels, first at x=2 y=1 z=0"):
        read_labels(file)


@pytest.mark.parametrize("signs", [(1, 1, 1, 1), (-1, -1, 1, 1)])
def test_a_cropped_segmentation_is_put_back_into_its_image(tmp_path, signs):
    matrix = np.diag(np.array(signs, float)) @ np.array([[1, 0, 0, 7], [0, 1, 0, 8], [0, 0, 1, 9], [0, 0, 0, 1.0]])
    geometry = ";".join(str(value) for value in [*matrix.ravel(), 0, 9, 0, 8, 0, 7])
    file = slicers(
        tmp_path / "a.seg.nrrd",
        np.ones((4, 5, 6), np.uint8),
        ("a", 1, 0, "1 0 0"),
        origin=(7.0 + 1, 8.0 + 2, 9.0 + 3),
        Segmentation_ReferenceImageExtentOffset="1 2 3",
        Segmentation_ConversionParameters=f"Oversampling factor|1|How|&Reference image geometry|{geometry};|Where|&",
    )
    labels = read_labels(file)
    assert labels.grid.shape == (8, 9, 10)
    assert labels.grid.origin == (7, 8, 9)
    assert labels.voxels.sum() == 4 * 5 * 6
    assert labels.voxels[3:7, 2:7, 1:7].all()


def test_a_geometry_of_another_place_is_not_believed(tmp_path):
    geometry = ";".join(str(value) for value in [*np.eye(4).ravel(), 0, 9, 0, 8, 0, 7])
    file = slicers(
        tmp_path / "a.seg.nrrd",
        np.ones((4, 5, 6), np.uint8),
        ("a", 1, 0, "1 0 0"),
        origin=(50.0, 50.0, 50.0),
        Segmentation_ReferenceImageExtentOffset="1 2 3",
        Segmentation_ConversionParameters=f"Reference image geometry|{geometry};|&",
    )
    assert read_labels(file).grid.shape == (4, 5, 6)


def test_what_is_written_has_the_keys_that_3d_slicer_reads(tmp_path):
    voxels = np.zeros((4, 5, 6), np.uint8)
    voxels[1:3, 2, 3:5], voxels[0, 0, 0] = 2, 7
    segments = {0: Segment("background"), 2: Segment("Röhre", (255, 0, 51)), 9: Segment("not painted", (1, 2, 3))}
    write_labels(tmp_path / "a.seg.nrrd", Volume(voxels, GRID, segments=segments))
    image = SimpleITK.ReadImage(str(tmp_path / "a.seg.nrrd"))
    keys = {key: image.GetMetaData(key) for key in image.GetMetaDataKeys()}
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image), voxels)
    assert keys["Segmentation_MasterRepresentation"] == "Binary labelmap"
    assert keys["Segmentation_SourceRepresentation"] == "Binary labelmap"
    assert keys["Segmentation_ContainedRepresentationNames"] == "Binary labelmap|"
    assert keys["Segmentation_ReferenceImageExtentOffset"] == "0 0 0"
    assert [keys[f"Segment0_{key}"] for key in ("ID", "Name", "LabelValue", "Layer")] == [
        "Segment_2",
        "Röhre",
        "2",
        "0",
    ]
    assert keys["Segment0_Color"] == "1 0 0.2"
    assert keys["Segment0_Extent"] == "3 4 2 2 1 2"
    assert keys["Segment1_Name"] == "label 7"
    assert keys["Segment2_Extent"] == "0 -1 0 -1 0 -1"
    assert "Segment3_ID" not in keys  # 0 is no segment in 3D Slicer
    back = read_labels(tmp_path / "a.seg.nrrd")
    assert back.grid == GRID
    assert back.segments[2] == segments[2]
    assert back.segments[9] == segments[9]


@pytest.mark.parametrize("kind", ["uint8", "uint16", "int32"])
@pytest.mark.parametrize("slab", [7, 60, 1 << 20])
def test_extents_reach_over_slabs(tmp_path, monkeypatch, kind, slab):
    monkeypatch.setattr(slabs, "SLAB_BYTES", slab)
    voxels = np.zeros((4, 5, 6), kind)
    voxels[0, 1, 4], voxels[3, 3, 2], voxels[2, 2, 2] = 5, 5, 1
    write_labels(tmp_path / "a.seg.nrrd", Volume(voxels, GRID))
    image = SimpleITK.ReadImage(str(tmp_path / "a.seg.nrrd"))
    assert image.GetMetaData("Segment0_Extent") == "2 2 2 2 2 2"
    assert image.GetMetaData("Segment1_Extent") == "2 4 1 3 0 3"
    assert "Segment2_ID" not in image.GetMetaDataKeys()


def test_ids_and_terminology_of_segments_that_stay_are_kept(tmp_path):
    file = slicers(tmp_path / "a.seg.nrrd", np.ones((4, 5, 6), np.uint8), ("a", 1, 0, "1 0 0"), Segment0_Tags="Tissue|")
    labels = read_labels(file)
    write_labels(tmp_path / "b.seg.nrrd", labels.with_voxels(labels.voxels, labels.segments))
    image = SimpleITK.ReadImage(str(tmp_path / "b.seg.nrrd"))
    assert image.GetMetaData("Segment0_Tags") == "Tissue|"
    write_labels(tmp_path / "c.seg.nrrd", labels.with_voxels(labels.voxels, {1: Segment("b")}))
    assert SimpleITK.ReadImage(str(tmp_path / "c.seg.nrrd")).GetMetaData("Segment0_Tags") != "Tissue|"


@pytest.mark.parametrize("segment", [("a", "one", 0, "1 0 0"), ("a", 1, 0, "red"), ("a", 1, 5, "1 0 0")])
def test_a_damaged_header_is_a_sentence(tmp_path, segment):
    layers = np.ones((4, 5, 6, 2), np.uint8)
    with pytest.raises(InputError, match="Save the segmentation again in 3D Slicer"):
        read_labels(slicers(tmp_path / "a.seg.nrrd", layers, segment))
