"""A report is one file that holds everything it shows."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from keras_unet3d.errors import InputError
from keras_unet3d.evaluation.report import Figure, Section, write_report


def test_a_report_holds_its_pictures_and_reaches_for_nothing(tmp_path):
    picture = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    section = Section(
        "Scores",
        paragraphs=["After 2 minutes."],
        table=[("class", "IoU"), ("tubule", 0.87654), ("void", float("nan"))],
        legend={"tubule": (255, 200, 0)},
        figures=[Figure(picture, "a slice")],
    )
    write_report(tmp_path / "report.html", "Kidney", [section])
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<td>tubule</td><td>0.877</td>" in html
    assert "<td>void</td><td>–</td>" in html
    assert "#ffc800" in html
    assert not re.search(r"https?:|<script|<link|src=\"(?!data:)", html)
    encoded = re.search(r'src="data:image/png;base64,([^"]+)"', html)[1]
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(base64.b64decode(encoded)))), picture)


def test_all_text_of_a_report_is_escaped(tmp_path):
    evil = '<b onload="x">&'
    picture = np.zeros((1, 1, 3), np.uint8)
    section = Section(evil, [evil], [(evil,), (evil,)], {evil: (255, 0, 0)}, [Figure(picture, evil)])
    write_report(tmp_path / "report.html", evil, [section])
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<b" not in html.replace("<body", "")
    assert 'onload="' not in html
    assert html.count("&lt;b onload=&quot;x&quot;&gt;&amp;") == 9


def test_a_report_in_a_missing_folder_is_refused(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        write_report(tmp_path / "missing" / "report.html", "Kidney", [])
