"""What a person sees: the page in headless Chromium, where there is one."""

from dataclasses import replace

import numpy as np
import pytest

from keras_unet3d.evaluation.case_view import CaseView
from keras_unet3d.evaluation.page import Page, Section, cards, folded, write_page
from keras_unet3d.evaluation.slice_browser import slice_browser, slice_legend
from keras_unet3d.evaluation.volume_view import VolumeView, views_html
from keras_unet3d.volumes import Grid

READY = "document.querySelector('.view').dataset.state === 'ready'"
SHOWN = (
    "[...document.querySelectorAll('.slice')].filter(s => s.offsetParent).map(s => s.dataset.axis + s.dataset.index)"
)
SMALL = {"width": 480, "height": 360}  # without a graphics card every pixel costs
TO_STAGE = "document.querySelector('.stage').scrollIntoView({behavior: 'instant', block: 'center'})"
CANVAS = "JSON.parse(JSON.stringify(document.querySelector('canvas').getBoundingClientRect()))"


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A page with everything, of a cube in which one arm points along x, one along y, and one along z."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    truth = np.zeros((24, 24, 24), np.int16)
    truth[10:14, 10:14, 18:] = 1
    truth[10:14, 18:, 10:14] = 2
    truth[18:, 10:14, 10:14] = 3
    from keras_unet3d.annotation import LabelScheme

    scheme = LabelScheme((0, 1, 2, 3), ("background", "x", "y", "z"), (None, (255, 0, 0), (0, 255, 0), (0, 0, 255)))
    image = np.random.default_rng(0).random((24, 24, 24, 1), dtype=np.float32)
    case = CaseView("arms", image, Grid(truth.shape, unit="µm"), ("grey",), scheme, truth, truth)
    other = replace(case, name="<again>")
    parts = [
        Section("Slices", [slice_legend(case), slice_browser(case), folded("More", "Hidden words.")]),
        Section("From all sides", [views_html([VolumeView.of(case), VolumeView.of(other)])]),
    ]
    write_page(path, Page("Arms", [cards([("Dice", "1.000", "of all")])], parts, "End.", volume_view=True))
    return path


def drag(browser, across, down):
    box = browser.run(CANVAS)
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    for kind, share in (("mousePressed", 0), ("mouseMoved", 0.5), ("mouseMoved", 1), ("mouseReleased", 1)):
        place = {"x": x + share * across, "y": y + share * down}
        browser.call("Input.dispatchMouseEvent", type=kind, button="left", buttons=1, clickCount=1, **place)


def press(browser, key):
    for kind in ("keyDown", "keyUp"):
        browser.call("Input.dispatchKeyEvent", type=kind, key=key)


def centre(picture, channel):
    """Column and row of what has the colour of one channel alone, in the lower part of the window."""
    others = np.delete(picture, channel, axis=-1).max(axis=-1)
    row, column = np.nonzero((picture[..., channel] > 90) & (others < picture[..., channel] / 2))
    return np.array([column.mean(), row.mean()])


def test_the_view_turns_by_hand_by_key_and_by_address_and_nothing_complains(browser, report):
    browser.open(report, "#azimuth=110&elevation=25", **SMALL)
    browser.wait_for(READY)
    browser.run(TO_STAGE)
    browser.run("[...document.querySelectorAll('.view input[type=range]')][0].oninput()")  # draws
    first = browser.picture()
    drag(browser, 120, 0)
    turned = browser.picture()
    assert (np.abs(turned - first).max(axis=-1) > 40).mean() > 0.01
    assert browser.run("document.querySelector('.view').dataset.azimuth") != "110"
    browser.run("document.querySelector('canvas').focus({preventScroll: true})")
    before = int(browser.run("document.querySelector('.view').dataset.azimuth"))
    press(browser, "ArrowRight")
    assert int(browser.run("document.querySelector('.view').dataset.azimuth")) == (before + 10) % 360
    assert browser.complaints == []
    assert browser.requests == [report.as_uri()]


def test_the_compass_points_where_the_axes_run(browser, report):
    browser.open(report, "#azimuth=140&elevation=30", **SMALL)
    browser.wait_for(READY)
    axes = browser.run(
        "[...document.querySelectorAll('.compass text')].map(text => [text.textContent, text.previousSibling])"
        ".map(([name, line]) => [name, +line.getAttribute('x2'), +line.getAttribute('y2')])"
    )
    browser.run("document.querySelector('.compass').remove()")
    browser.run(TO_STAGE)
    browser.run("(() => { const image = document.querySelector('.view input'); image.value = 0; image.oninput(); })()")
    picture = browser.picture()
    arms = dict(zip("xyz", (centre(picture, channel) for channel in range(3)), strict=True))
    middle = sum(arms.values()) / 3
    drawn = {name: np.array(end) for name, *end in axes}
    centred = sum(drawn.values()) / 3
    for name, arm in arms.items():
        seen, said = arm - middle, drawn[name] - centred
        assert seen @ said > 0.97 * np.linalg.norm(seen) * np.linalg.norm(said)


def test_slices_are_gone_through_by_axis_slider_and_key(browser, report):
    browser.open(report)
    (first,) = browser.run(SHOWN)
    browser.run("document.querySelector('.browser button').click()")
    (across,) = browser.run(SHOWN)
    assert (first[0], across[0]) == ("z", "x")
    browser.run("document.querySelector('.browser button').focus()")
    press(browser, "ArrowRight")
    (next_,) = browser.run(SHOWN)
    assert int(next_[1:]) > int(across[1:])
    press(browser, "ArrowLeft")
    assert browser.run(SHOWN) == [across]
    browser.run(
        "(() => { const place = document.querySelector('.place'); place.value = place.max; place.oninput(); })()"
    )
    (last,) = browser.run(SHOWN)
    assert int(last[1:]) > int(next_[1:])
    assert browser.complaints == []


def test_without_javascript_every_slice_is_there(browser, report):
    browser.open(report, javascript=False)
    shot = browser.picture()
    browser.call("Emulation.setScriptExecutionDisabled", value=False)
    assert len(browser.run(SHOWN)) == browser.run("document.querySelectorAll('.slice').length") > 8
    assert (np.ptp(shot, axis=-1) > 60).any()  # the paint on the slices


def test_a_narrow_window_scrolls_one_way_only_and_dark_is_dark(browser, report):
    browser.open(report, width=360, prefers_color_scheme="dark")
    assert browser.run("document.documentElement.scrollWidth") <= 360
    assert browser.picture()[0, 0].max() < 60
    browser.open(report, width=1000, prefers_color_scheme="light")
    assert browser.picture()[0, 0].min() > 240


def test_print_shows_what_is_worth_it_and_what_is_folded(browser, report):
    browser.open(report)
    browser.call("Emulation.setEmulatedMedia", media="print")
    browser.run("dispatchEvent(new Event('beforeprint'))")
    assert len({slice_[0] for slice_ in browser.run(SHOWN)}) == 3
    assert browser.run("document.querySelector('details').open")
    assert browser.run("getComputedStyle(document.querySelector('.controls')).display") == "none"


def test_a_script_that_slipped_in_does_not_run(browser, report, tmp_path):
    page = report.read_text(encoding="utf-8").replace("<h1>", "<script>document.title = 'mine'</script><h1>")
    evil = tmp_path / "evil.html"
    evil.write_text(page.replace("</h1>", '</h1><img src="https://example.org/x.png">'), encoding="utf-8")
    browser.open(evil)
    assert browser.run("document.title") == "Arms"
    refused = [event["params"]["entry"]["text"] for event in browser.complaints if event["method"] == "Log.entryAdded"]
    assert sum("Content Security Policy" in text for text in refused) == 2
