"""README.md and docs/*.md say what is so.

- Every command in a ``sh`` block is parsed by the real commands: options, values, ``--set``.
- Every ``python`` block compiles; each ``unet3d.NAME`` in it exists and takes the keyword arguments that it is given.
- Links, pictures, headings that are linked to, targets of ``make`` and options in running text exist.
- What heads a section of troubleshooting.md, as code, is part of a message in the source; ``…`` stands for values.
- Drawings are those that docs/pictures.py makes of the package's arithmetic now.
- A block after ``<!-- run -->`` is run, those of all pages in one folder, with less work: `SMALLER`.
- All other commands and ``python`` blocks are run as they are written, in a folder that has what they name; those but
  that `NOT_RUN` names. Trainings in ``sh`` blocks are planned there (``--dry-run``): all is read and decided.
"""

import ast
import inspect
import json
import re
import runpy
import shlex
import shutil
from functools import cache
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner
from unet3d_cli.main import COMMANDS, main

import keras_unet3d as unet3d
from keras_unet3d.annotation import LabelScheme, slices_by_case
from keras_unet3d.training.settings import read_settings
from keras_unet3d.volumes import Segment

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ORDER = ("README.md", "annotate.md", "python.md", "deploy.md")
"""Pages with blocks that are run: what one leaves, the next finds."""
SMALLER = {
    r"--minutes \S+": "--steps 2 --filters 2 --padding same --tile 'x=32 y=32 z=16' --batch-size 1 --precision float32",
    r"--size 'x=96 y=96 z=32'": "--size 'x=48 y=48 z=24'",
}
"""What is put in place of options where blocks are run, as tests have little time."""
PLANNED = {"fit", "experiment"}
"""Commands that are only planned where a page is not marked: each training takes seconds, however small it is."""
NOT_RUN = {
    "--dask": "workers of a cluster, or processes that take seconds to start; tests/jobs/test_segmenting_blocks.py",
    "unet3d.Dask": "likewise",
    "--part": "calls that wait for each other; likewise",
    "fit dataset": "several machines; tests/training/test_crew.py",
    "images/*.nii.gz": "a thousand volumes; tests/jobs/test_segmenting_blocks.py",
    "--server": "a server; tests/serving/test_served_job.py",
    "Client(": "a server; tests/serving/test_client.py",
    "models/cells": "a model of two channels, that is a training more; tests/cli/test_options.py",
    "export": "seconds each; tests/jobs/test_exporting.py",
    "openvino.Core()": "what an export leaves; tests/jobs/test_exporting.py",
    "cross_validate(": "five trainings; tests/jobs/test_cross_validating.py",
}
"""What stays parsed, and why."""
TRAINED = """unet3d.read_settings(None, {"steps": 1, "network.filters": 1, "network.depth": 1, "batch_size": 1,
    "network.padding": "same", "tile": (16, 16, 16), "precision": "float32", "augmentation.mirror": ("y", "x")})"""
"""What is put in place of settings in Python."""
OTHERS_OPTIONS = {"--enable_batching", "--batching_parameters_file", "--requeue", "--nthreads"}
"""Of TensorFlow Serving, Slurm and dask."""

pages = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def blocks(page, language, *, run=False):
    """The fenced blocks of a language; only those that are run, where asked for."""
    before = "<!-- run -->\n" if run else ""
    return re.findall(
        rf"^{before}```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )


def calls(block):
    """The calls of `unet3d` in a block for a shell: arguments, and the file that takes what they print."""
    for line in block.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        if "unet3d" in words:
            words = words[words.index("unet3d") + 1 :]
            ends = [place for place, word in enumerate(words) if word in {">", "|", "&&", ";", "&"}] or [len(words)]
            rest = words[ends[0] :]
            yield words[: ends[0]], rest[1] if rest[:1] == [">"] else None


def commands(block):
    """The arguments alone."""
    for arguments, _ in calls(block):
        yield arguments


def prose(page):
    """A page without its blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)


def slug(heading):
    """A heading as links name it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def of_package(node):
    """Whether a node of a syntax tree is `unet3d.NAME`."""
    return isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "unet3d"


@cache
def messages():
    """Every text in the source, with … for what is put in."""
    found = []
    for folder in ("keras_unet3d", "cli"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.JoinedStr):
                    found.append(
                        "".join(
                            str(getattr(part, "value", "…")) if isinstance(part, ast.Constant) else "…"
                            for part in node.values
                        )
                    )
                elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                    found.append(node.value)
    return found


def occurs(quoted):
    """Whether a message in the source has these parts in this order."""
    pattern = re.compile(".*".join(re.escape(part.strip()) for part in quoted.split("…")), re.DOTALL)
    return any(pattern.search(message) for message in messages())


def test_blocks_and_commands_are_found():
    found = [call[0] for page in PAGES for block in blocks(page, "sh") for call in commands(block)]
    assert set(COMMANDS) - set(found) <= {"demo"}  # which `make demo` runs
    assert list(commands("srun -n 2 unet3d fit a --set b=1 > c  # d\n")) == [["fit", "a", "--set", "b=1"]]


@pages
def test_every_command_is_one_that_unet3d_takes(page):
    for block in blocks(page, "sh"):
        for name, *arguments in commands(block):
            command = main.get_command(None, name)
            assert command is not None, f"unet3d {name}"
            try:
                context = command.make_context(name, list(arguments))
            except click.ClickException as error:
                pytest.fail(f"unet3d {shlex.join([name, *arguments])}: {error.format_message()}")
            read_settings(None, dict(context.params.get("assigned") or ()))
            slices_by_case(context.params.get("annotated_slices") or ())


@pages
def test_options_and_targets_in_running_text_exist(page):
    known = {option for name in COMMANDS for each in main.get_command(None, name).params for option in each.opts}
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    inline = re.findall(r"`([^`\n]+)`", prose(page))
    options = {option for code in inline for option in re.findall(r"(?<![\w-])--[a-z][\w-]*", code)}
    assert options <= known | OTHERS_OPTIONS | {"--help"}
    calls = [*inline, *"\n".join(blocks(page, "sh")).splitlines()]
    assert {target for call in calls for target in re.findall(r"^make ([\w-]+)", call)} <= targets


@pages
def test_every_python_block_uses_what_there_is(page):
    for block in blocks(page, "python"):
        tree = ast.parse(block)
        for node in ast.walk(tree):
            if of_package(node):
                assert node.attr in unet3d.__all__
            if isinstance(node, ast.Call) and of_package(node.func):
                inspect.signature(getattr(unet3d, node.func.attr)).bind_partial(
                    *node.args, **{keyword.arg: keyword.value for keyword in node.keywords}
                )


@pages
def test_every_json_block_is_readable(page):
    for block in blocks(page, "json"):
        if labels := json.loads(block).get("labels"):
            LabelScheme.from_names(labels)


@pages
def test_every_link_leads_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?:", target):
            continue
        name, _, anchor = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", prose(linked), re.MULTILINE)
            assert anchor in map(slug, headings), target


def test_every_message_that_is_explained_is_one_of_ours():
    quoted = re.findall(
        r"^### `(.*)`$", (ROOT / "docs" / "troubleshooting.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert len(quoted) > 10
    assert [each for each in quoted if len(each.replace("…", "").strip()) < 12 or not occurs(each)] == []


def test_a_message_that_nobody_writes_is_found_out():
    assert occurs("The annotated slice … lies outside the volume of …")
    assert not occurs("The annotated slice … lies inside the volume of …")


def test_the_readme_names_every_command():
    rows = re.findall(r"^\| `unet3d (\w+)` \|", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert sorted(rows) == sorted(COMMANDS)


def test_every_command_is_a_function():
    functions = {"info": "load_model", "phantom": "write_phantom_dataset"}
    assert {functions.get(name, name) for name in COMMANDS} <= set(unet3d.__all__)
    assert all(getattr(unet3d, name) is not None for name in unet3d.__all__)


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [page.name for page in PAGES[1:] if f"(docs/{page.name}" not in readme] == []


def test_drawings_are_of_the_arithmetic_of_now():
    drawings = runpy.run_path(str(ROOT / "docs" / "pictures.py"))["DRAWINGS"]
    for name, draw in drawings.items():
        assert (ROOT / "docs" / "pictures" / name).read_text(encoding="utf-8") == draw(), (
            f"run docs/pictures.py: {name}"
        )


@pytest.mark.slow
def test_what_is_marked_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "models" / "kidney-phantom", tmp_path / "models" / "kidney-phantom")
    by_name = {page.name: page for page in PAGES}
    marked = {page.name for page in PAGES if "<!-- run -->" in page.read_text(encoding="utf-8")}
    assert marked == set(ORDER)
    for name in ORDER:
        for block in blocks(by_name[name], "sh", run=True):
            for asked, run in SMALLER.items():
                block = re.sub(asked, run, block)  # noqa: PLW2901
            for arguments in commands(block):
                done = CliRunner().invoke(main, arguments)
                assert done.exit_code == 0, f"unet3d {shlex.join(arguments)}\n{done.output}"
        for block in blocks(by_name[name], "python", run=True):
            exec(compile(block, name, "exec"), {})  # noqa: S102 - it is what a reader would paste
    for left in ("dense.nii.gz", "report.html", "suggestions"):
        assert (tmp_path / left).exists()


def ball(shape):
    """A structure in the middle of a volume: 1, and 0 around it."""
    axes = np.ogrid[tuple(slice(-1, 1, complex(length)) for length in shape)]
    return (sum(axis**2 for axis in axes) < 0.4).astype(np.uint8)


def image(name, truth):
    """Write an image in which the structure is brighter."""
    noise = np.random.default_rng(truth.size).normal(0, 0.2, truth.shape)
    volume = unet3d.Volume((truth + noise).astype(np.float32)[..., None], unet3d.Grid(truth.shape, unit="mm"))
    unet3d.write_image(name, volume)


def labels(name, truth, slices=None, unlabeled=0):
    """Write its labels, all or those in some slices."""
    if slices is not None:
        truth = np.where(unet3d.AnnotatedSlices.parse(slices).mask(truth.shape), truth, np.uint8(unlabeled))
    named = {1: Segment("structure")} if name.endswith(".seg.nrrd") else {}
    unet3d.write_labels(name, unet3d.Volume(truth, unet3d.Grid(truth.shape, unit="mm"), segments=named))


@pytest.fixture
def reader(tmp_path, monkeypatch):
    """The folder of somebody who has all files that the pages name."""
    monkeypatch.chdir(tmp_path)
    embryo, scan, small = ball((32, 81, 16)), ball((200, 16, 129)), ball((16, 16, 16))
    for folder in ("new", "truth", "segmented", "segmented_before", "study/images", "study/labels"):
        Path(folder).mkdir(parents=True)
    for name in ("a.nii.gz", "b.nii.gz"):
        image(f"new/{name}", small)
        labels(f"truth/{name}", small)
        labels(f"segmented_before/{name}", small)
    for name in (f"embryo_{number}.nii.gz" for number in range(1, 6)):
        image(f"study/images/{name}", embryo)
        labels(f"study/labels/{name}", embryo)
    shutil.copytree("study", "new_cases")
    shutil.copytree("study", "ct")
    Path("ct/dataset.json").write_text('{"channel_names": {"0": "CT"}}', encoding="utf-8")
    image("embryo.tif", embryo)
    labels("nuclei.tif", embryo, "z=12,31 y=40,80")
    labels("nuclei_mask.tif", 255 * embryo, "z=11,30")
    image("kidney.nii.gz", small)
    labels("kidney_labels.nii.gz", small, "z=8", unlabeled=3)
    for suffix in ("nrrd", "nii.gz"):
        image(f"scan.{suffix}", scan)
    labels("scan.seg.nrrd", scan, "z=40,62,100 x=64,128")
    labels("scan_labels.nii.gz", scan, "z=39,61,100 x=64,127")
    labels("annotation.nii.gz", scan, "z=100", unlabeled=3)
    for name in ("a.nii.gz", "truth.nii.gz"):  # a is an image on one page, and a label map on another
        labels(name, embryo)
    labels("a_labels.nii.gz", embryo, "z=12,20,31")
    labels("slices.nii.gz", embryo, "z=12,31 y=80")
    image("brain.ome.zarr", ball((600, 16, 16)))
    labels("brain.ome.zarr/labels/cells", 1 + ball((600, 16, 16)), "z=300")
    shutil.copytree(ROOT / "models" / "kidney-phantom", "models/kidney-phantom")


def unmarked(page, language):
    """The blocks of a language that are not marked."""
    marked = blocks(page, language, run=True)
    return (block for block in blocks(page, language) if block not in marked)


def is_run(text):
    """Whether nothing in it is named by `NOT_RUN`."""
    return not any(name in text for name in NOT_RUN)


def run(arguments, target):
    """Run a command as a shell does, which writes what it prints to a file where one is given; plan a training."""
    words = [name for word in arguments for name in (map(str, sorted(Path().glob(word))) if "*" in word else [word])]
    if words[0] in PLANNED and "--dry-run" not in words:
        words.append("--dry-run")
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, f"unet3d {shlex.join(arguments)}\n{done.output}"
    if target:
        Path(target).write_text(done.stdout, encoding="utf-8")


def test_what_is_not_run_is_there():
    texts = [shlex.join(call) for page in PAGES for block in unmarked(page, "sh") for call in commands(block)]
    texts += [block for page in PAGES for block in unmarked(page, "python")]
    assert all((ROOT / where).is_file() for why in NOT_RUN.values() for where in re.findall(r"tests/\S+", why))
    assert [name for name in NOT_RUN if not any(name in text for text in texts)] == []


@pytest.mark.slow
@pytest.mark.usefixtures("reader")
def test_what_is_not_marked_runs_too():
    pytest.importorskip("zarr", reason="zarr-python, the extra [zarr], is missing")
    for page in PAGES:  # first: they leave the models that commands name
        for block in filter(is_run, unmarked(page, "python")):
            exec(re.sub(r"unet3d\.Settings\(minutes=\d+\)", TRAINED, block), {})  # noqa: S102
    for name in ("a", "b", "kidney"):
        shutil.copytree("models/unet3d", f"models/{name}")
    for page in PAGES:
        for block in unmarked(page, "sh"):
            for arguments, target in calls(block):
                if is_run(shlex.join(arguments)):
                    run(arguments, target)
