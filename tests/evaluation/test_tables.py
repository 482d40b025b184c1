import math

from keras_unet3d.evaluation.tables import Bar, Stacked, score_text, table


def test_counts_scores_bars_and_texts_look_like_what_they_are():
    page = table(
        ["class", "Dice", "IoU", "voxels", "share"], [["cell", Stacked("0.877", "<b>"), Bar(0.5), 12345, "5 %"]]
    )
    assert '<td class="number">0.877<small>&lt;b&gt;</small></td>' in page
    assert 'style="--share:0.500"></span><span>0.500</span>' in page
    assert '<td class="number">12,345</td>' in page
    assert "<td>5 %</td>" in page
    assert '<th scope="col" class="number">voxels</th><th scope="col">share</th>' in page


def test_a_score_that_is_none_is_a_dash_without_a_bar():
    assert [score_text(0.12345), score_text(None), score_text(math.nan)] == ["0.123", "–", "–"]
    assert 'style="--share:0.000"></span><span>–</span>' in table(["", ""], [["a", Bar(math.nan)]])


def test_the_last_row_is_the_total_and_a_long_table_scrolls():
    rows = [["a", 1], ["b", 2], ["all", 3]]
    assert '<tfoot><tr><th scope="row">all</th>' in table(["", "n"], rows, total=True)
    assert "<tfoot>" not in table(["", "n"], rows)
    assert 'class="table long"' in table(["", "n"], rows * 20)
