"""Makes the pictures of these pages: a segmented kidney, part of a report, and drawings of the package's arithmetic.

Run from the root of the repository; kidney and report take the model in ``models/kidney-phantom``, the report Chromium:

    .venv/bin/python docs/pictures.py
"""

import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

from keras_unet3d.inference.axis import axis_tiling
from keras_unet3d.network.sizes import AxisGeometry

ROOT = Path(__file__).resolve().parent.parent
PICTURES = ROOT / "docs" / "pictures"

STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #333 } .small { font-size: 11px } .middle { text-anchor: middle }
.end { text-anchor: end } rect { stroke: #333; stroke-width: 1 } line, path { stroke: #777; fill: none }
.box { fill: #ffc800 } .box2 { fill: #3c82dc } .halo { fill: #ddd } .kept { fill: #ffc800 } .none { fill: #fff }
</style>"""


def svg(width: int, height: int, parts: Iterable[str]) -> str:
    """A drawing on white, so that it is seen on dark pages, too."""
    body = "\n".join(parts)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}">\n'
        f'{STYLE}\n<rect width="{width}" height="{height}" style="fill: #fff; stroke: none"/>\n{body}\n</svg>\n'
    )


def text(x: float, y: float, words: object, kind: str = "middle") -> str:
    """Words at a place."""
    return f'<text x="{x:g}" y="{y:g}" class="{kind}">{words}</text>'


def rect(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A box."""
    return f'<rect x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" class="{kind}"/>'


def line(x: float, y: float, to_x: float, to_y: float) -> str:
    """A line."""
    return f'<line x1="{x:g}" y1="{y:g}" x2="{to_x:g}" y2="{to_y:g}"/>'


def network(length: int = 132, filters: int = 32) -> str:
    """The U of figure 2: voxels along one axis, and channels, before and after each pair of convolutions."""
    axis = AxisGeometry()
    parts = [
        text(10, 22, f"Voxels along one axis of a tile of {length}, and channels (small), at each level", ""),
    ]
    down, size = [], length
    for level in range(axis.depth + 1):
        down.append((size, size - axis.lost // 2, size - axis.lost))
        size = (size - axis.lost) // axis.factor(level)
    up = []
    size = down[-1][-1]
    for level in reversed(range(axis.depth)):
        size *= axis.factor(level)
        up.append((level, (size, size - axis.lost // 2, size - axis.lost)))
        size -= axis.lost

    def row(level: int) -> float:
        return 50 + 85 * level

    def boxes(x: float, level: int, sizes: tuple[int, ...], channels: list[str], kind: str) -> None:
        for number, (voxels, width) in enumerate(zip(sizes, channels, strict=True)):
            left, height = x + 62 * number + (25 if number and "+" in channels[0] else 0), 12 + voxels * 0.22
            parts.append(rect(left, row(level) + 30 - height / 2, 14, height, kind))
            parts.append(text(left + 20, row(level) + 28, voxels, ""))
            parts.append(text(left + 20, row(level) + 43, width, "small"))

    for level, sizes in enumerate(down):
        first = "3" if level == 0 else str(filters << level)
        boxes(20 + 45 * level, level, sizes, [first, str(filters << level), str(filters << (level + 1))], "box")
    for level, sizes in up:
        above, skip = filters << (level + 2), filters << (level + 1)
        boxes(560 - 45 * level, level, sizes, [f"{above} + {skip}", str(skip), str(skip)], "box2")
        parts.append(line(230 + 45 * level, row(level) + 30, 545 - 45 * level, row(level) + 30))
        parts.append(text(388, row(level) + 24, f"cropped by {axis.skip_crop(level)} on each side", "small middle"))
    parts.append(text(10, 50 + 85 * 4 + 10, "Down: two 3×3×3 convolutions, then a 2×2×2 max pooling.", ""))
    parts.append(
        text(10, 50 + 85 * 4 + 28, "Up: a 2×2×2 transposed convolution; the skip is laid beside it; two more.", "")
    )
    parts.append(text(790, 50 + 85 * 4 + 28, f"{length} in, {axis.output_length(length)} out", "end"))
    return svg(810, 440, parts)


def tiles(length: int = 120, longest: int = 148) -> str:
    """Tiles along one axis: what each reads and writes, on one pooling grid."""
    tiling = axis_tiling(length, longest, AxisGeometry())
    scale, left = 3.0, 160.0
    lowest = tiling.read_start(0)

    def at(voxel: int) -> float:
        return left + (voxel - lowest) * scale

    end = tiling.read_start(tiling.count - 1) + tiling.tile
    bottom = 92 + 46 * tiling.count
    parts = [text(10, 22, f"{length} voxels along an axis, in {tiling.count} tiles of {tiling.tile}", "")]
    multiple = tiling.geometry.multiple
    parts += [line(at(voxel), 34, at(voxel), bottom) for voxel in range(lowest, end + 1, multiple)]
    parts += [rect(at(0), 42, length * scale, 20, "none"), text(10, 57, "volume", ""), text(at(length / 2), 57, length)]
    for i in range(tiling.count):
        top, start, write, stop = 78 + 46 * i, tiling.read_start(i), tiling.write_start(i), tiling.write_stop(i)
        parts += [
            text(10, top + 20, f"tile {i + 1}, from {start}".replace("-", "−"), ""),
            rect(at(start), top, tiling.tile * scale, 30, "halo"),
            rect(at(write), top, (stop - write) * scale, 30, "kept"),
            text((at(write) + at(stop)) / 2, top + 20, f"writes {write} to {stop - 1}"),
        ]
    words = f"Grey: the halo, read only, mirrored beyond the volume. Lines: the pooling grid, every {multiple} voxels."
    parts.append(text(10, bottom + 22, words, ""))
    return svg(round(at(end)) + 20, bottom + 36, parts)


def weights() -> str:
    """Three annotated slices of a volume, and what weighs in the loss."""
    cell, columns, rows, top = 14, 22, 12, 44
    painted = {(row, column) for row in range(3, 9) for column in range(7, 15)}
    parts = [text(10, 22, "A slice of z. It was not annotated itself; y=5, x=4 and x=11 were, and cross it.", "")]
    for block, title in enumerate(("what is there", "what is labelled; white has weight 0")):
        left = 20 + block * (columns * cell + 60)
        for row in range(rows):
            for column in range(columns):
                structure = (row, column) in painted
                labelled = not block or row == 5 or column in {4, 11}
                kind = "none" if not labelled else "kept" if structure else "box2"
                parts.append(rect(left + column * cell, top + row * cell, cell, cell, kind))
        parts.append(text(left + columns * cell / 2, top + rows * cell + 22, title))
    return svg(20 + 2 * columns * cell + 80, top + rows * cell + 36, parts)


DRAWINGS = {"network.svg": network, "tiles.svg": tiles, "weights.svg": weights}


def kidney(path: Path, z: int = 13) -> None:
    """A slice that nobody annotated: image, labels that cross it, every voxel labelled, and the truth."""
    from PIL import Image

    import keras_unet3d as unet3d
    from keras_unet3d.annotation import LabelScheme, read_dataset
    from keras_unet3d.annotation.pictures import slice_panel
    from keras_unet3d.phantom import write_phantom_dataset

    with tempfile.TemporaryDirectory() as folder:
        data = write_phantom_dataset(Path(folder) / "kidneys", (32, 96, 96))
        scheme = read_dataset(data).scheme or LabelScheme((0, 1, 2), ("inside", "tubule", "background"))
        name = "kidney_1.nii.gz"
        image = unet3d.read_image(data / "images" / name)
        model = ROOT / "models" / "kidney-phantom"
        unet3d.segment(data / "images" / name, data / "dense.nii.gz", model=model)
        files = (data / "labels" / name, data / "dense.nii.gz", data / "truth" / name)
        maps = [scheme.class_index(unet3d.read_labels(file).voxels) for file in files]
    colours = [(255, 200, 0), (210, 30, 100), (60, 130, 220)]
    panel = slice_panel(image.voxels, maps, axis="z", at=(z, 0, 0), colours=colours, longest=288)
    Image.fromarray(panel).save(path, optimize=True)


def report(path: Path) -> None:
    """The slices of the worst of three kidneys that the model never saw, as a report shows them."""
    from PIL import Image

    import keras_unet3d as unet3d
    from keras_unet3d.phantom import write_phantom_dataset

    with tempfile.TemporaryDirectory() as folder:
        data = write_phantom_dataset(Path(folder) / "kidneys", (32, 96, 96), seed=7)
        images = sorted((data / "images").iterdir())
        cases = unet3d.dataset_from_pairs(images, [data / "truth" / image.name for image in images])
        page, shot = data / "report.html", data / "report.png"
        unet3d.report(ROOT / "models" / "kidney-phantom", cases, page)
        flags = ("--headless=new", "--no-sandbox", "--hide-scrollbars", "--virtual-time-budget=15000")
        drawn = ("--window-size=1000,2600", f"--screenshot={shot}", page.as_uri())
        subprocess.run(["chromium", *flags, *drawn], check=True, capture_output=True)  # noqa: S603, S607
        Image.open(shot).convert("RGB").crop((0, 1900, 1000, 2440)).save(path, optimize=True)


def main() -> None:
    """Write all of them."""
    PICTURES.mkdir(exist_ok=True)
    for name, draw in DRAWINGS.items():
        (PICTURES / name).write_text(draw(), encoding="utf-8")
    kidney(PICTURES / "kidney.png")
    report(PICTURES / "report.png")


if __name__ == "__main__":
    main()
