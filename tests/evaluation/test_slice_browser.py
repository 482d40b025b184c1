import re
from dataclasses import replace

from keras_unet3d.evaluation.slice_browser import slice_browser, slice_legend
from keras_unet3d.volumes import Grid


def slices(page):
    return re.findall(
        r'<figure class="slice[^"]*" .*?data-index="\d+">.*?</figure></div><figcaption>.*?</figcaption>', page
    )


def test_panels_axes_and_words_of_a_slice(case):
    page = slice_browser(case)
    (worst,) = [each for each in slices(page) if "Slice z=3<" in each]
    for panel in ("Image", "Annotation", "Prediction", "Disagreement", "Uncertainty"):
        assert f"<figcaption>{panel}</figcaption>" in worst
    assert "x →<br>y ↓" in worst
    assert "7 of 192 labelled voxels differ (3.6%): 4 false negative, 2 false positive, 1 of another class" in worst
    assert 'aria-label="a &lt;case&gt;, slice z=3: disagreement"' in worst
    (across,) = [each for each in slices(page) if "Slice x=" in each and "first" in each]
    assert "y →<br>z ↓" in across
    assert "aspect-ratio:480/360" in worst


def test_a_scale_bar_is_a_round_length_of_at_most_a_third_of_the_width(case):
    page = slice_browser(case)  # 16 µm wide: 2 is the longest of 1, 2, 5 that fits into 0.3 × 16
    assert '2 µm<i style="width:12.50%"></i>' in page
    unknown = replace(case, grid=Grid(case.grid.shape, case.grid.spacing))
    assert 'class="scale"' not in slice_browser(unknown)


def test_only_what_is_there_is_shown(case):
    page = slice_browser(replace(case, truth=None, uncertainty=None))
    assert set(re.findall(r"<figcaption>(\w+)</figcaption>", page)) == {"Image", "Prediction"}
    named = slice_browser(replace(case, truth_name="Truth", annotation=case.truth))
    shown = re.findall(r"<figcaption>(\w+)</figcaption>", slices(named)[0])
    assert shown == ["Image", "Annotation", "Truth", "Prediction", "Disagreement", "Uncertainty"]


def test_the_legend_names_classes_without_the_background_and_each_kind(case):
    legend = slice_legend(case)
    assert "&lt;cell&gt;" in legend
    assert "nucleus" in legend
    assert "background</span>" not in legend
    for words in ("true positive", "false negative: missed", "false positive: too much", "another class", "undecided"):
        assert words in legend
    assert "Disagreement" not in slice_legend(replace(case, truth=None))
