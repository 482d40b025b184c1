from hypothesis import given
from hypothesis import strategies as st

from keras_unet3d.evaluation.html import Html, element, joined


@given(st.text())
def test_text_is_escaped_and_html_is_not_escaped_again(text):
    shown = element("p", text, title=text)
    inside = shown.removeprefix('<p title="').removesuffix("</p>")
    assert "<" not in inside
    assert inside.count('"') == 1
    assert element("div", shown) == f"<div>{shown}</div>"


def test_attributes_are_written_as_html_has_them():
    assert element("input", type="range", hidden=True, value=None, disabled=False) == '<input type="range" hidden>'
    assert element("p", class_="a", aria_label="b") == '<p class="a" aria-label="b"></p>'
    assert isinstance(joined(["<", Html("<br>")]), Html)
    assert joined(["<", Html("<br>")]) == "&lt;<br>"
