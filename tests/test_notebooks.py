"""The notebooks as they are committed: executed in order, without an error, from nowhere in particular.

They are executed by `make notebooks`, and at a small size by ``.ci/run``; not here.
"""

import ast
import inspect
import json
import re
from pathlib import Path

import pytest

import keras_unet3d as unet3d

ROOT = Path(__file__).resolve().parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LARGEST = 600_000
"""Bytes of a notebook with its pictures."""
ABSOLUTE = re.compile(r"(?<![\w.:/<-])(?!/models/)(?:/(?!/)[\w.+-]+){2,}|\b[A-Za-z]:\\\w")
"""A path of some machine, such as /home/ada or C:\\data; no address, no path from the notebook, no closing
tag, and not where the image of TensorFlow Serving has its models."""

notebooks = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


def code_cells(path):
    return [cell for cell in read(path)["cells"] if cell["cell_type"] == "code"]


def source(cell):
    return "".join(cell["source"])


def said(cell):
    """What a cell has written, as text."""
    for output in cell["outputs"]:
        yield "".join(output.get("text", ""))
        yield from ("".join(text) for kind, text in output.get("data", {}).items() if kind.startswith("text/"))


def of_package(node):
    """Whether a node of a syntax tree is `unet3d.NAME`."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "unet3d"


def test_there_is_one_for_each_job():
    expected = ["01_quickstart", "02_semi_automated", "03_fully_automated", "04_serving"]
    assert [path.stem for path in NOTEBOOKS] == expected


@notebooks
def test_every_cell_was_executed_in_order_and_shows_what_it_shows(path):
    cells = code_cells(path)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        outputs = cell["outputs"]
        assert [output for output in outputs if output["output_type"] == "error"] == []
        assert [output for output in outputs if output.get("name") == "stderr"] == []
        if re.search(r"^print\(", source(cell), re.MULTILINE):
            assert any(output.get("name") == "stdout" for output in outputs), source(cell)
        if "plt.show()" in source(cell):
            assert any("image/png" in output.get("data", {}) for output in outputs), source(cell)


@notebooks
def test_it_is_small_and_differs_by_nothing_but_what_it_shows(path):
    assert path.stat().st_size < LARGEST
    assert read(path)["metadata"]["language_info"] == {"name": "python"}
    assert [cell["metadata"] for cell in read(path)["cells"] if cell["metadata"]] == []


@notebooks
def test_it_names_no_place_of_any_machine(path):
    texts = [source(cell) for cell in read(path)["cells"]] + [text for cell in code_cells(path) for text in said(cell)]
    assert [found.group() for text in texts for found in ABSOLUTE.finditer(text)] == []


def test_a_place_of_a_machine_is_found_out():
    for place in ("written to /home/ada/a.nii", "open('/tmp/x')", r"C:\data", "=/opt/b"):
        assert ABSOLUTE.search(place), place
    for place in (
        "https://a.org/b/c",
        "../../shared/data",
        "new/images/a.nii",
        "TP / (TP + FN)",
        "mm/µm",
        "</b></a>",
        "/models/kidney/1",
    ):
        assert not ABSOLUTE.search(place), place


@notebooks
def test_its_code_is_what_a_user_would_write(path):
    code = "\n".join(map(source, code_cells(path)))
    assert 'os.environ.get("MINUTES"' in code
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            ours = [(each.name, each.asname) for each in node.names if each.name.startswith(("keras_unet3d", "unet3d"))]
            assert ours in ([], [("keras_unet3d", "unet3d")])
        if isinstance(node, ast.ImportFrom):
            assert not (node.module or "").startswith(("keras_unet3d", "unet3d"))
        if of_package(node):
            assert node.attr in {*unet3d.__all__, "serving"}
        if isinstance(node, ast.Attribute):
            assert not node.attr.startswith("_")
        if isinstance(node, ast.Call) and of_package(node.func):  # those of `unet3d.serving` are not
            inspect.signature(getattr(unet3d, node.func.attr)).bind_partial(
                *node.args, **{keyword.arg: keyword.value for keyword in node.keywords if keyword.arg}
            )


@notebooks
def test_its_links_lead_somewhere_and_the_readme_to_it(path):
    for cell in read(path)["cells"]:
        if cell["cell_type"] == "markdown":
            for target in re.findall(r"\]\(([^)#\s]+)[^)\s]*\)", source(cell)):
                assert target.startswith("https://") or (path.parent / target).exists(), target
    assert f"(notebooks/{path.name})" in (ROOT / "README.md").read_text(encoding="utf-8")
