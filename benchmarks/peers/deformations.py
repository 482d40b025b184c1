"""Other tools' elastic deformation of one tile with labels, each as its users call it: seconds a call, tiles a second.

    python benchmarks/peers/deformations.py --tiles 6

Prints a line of JSON for each tool. A single call may use all cores; for the throughput there is a process for each
core, as in their data loaders, and each computes on one thread.
"""

import argparse
import json
import os
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing import get_context
from typing import Any

import numpy as np
import torch

SHAPE, CHANNELS = (116, 132, 132), 3
ANGLE, SCALES, DISPLACEMENT = 15.0, (0.8, 1.25), 4.0


def batchgenerators(image: torch.Tensor, labels: torch.Tensor) -> Callable[[], Any]:
    """What nnU-Net augments with; its own ranges of displacement, rotation and scaling as here."""
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

    angle = np.deg2rad(ANGLE)
    transform = SpatialTransform(
        SHAPE,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_elastic_deform=1,
        p_rotation=1,
        rotation=(-angle, angle),
        p_scaling=1,
        scaling=SCALES,
        mode_seg="nearest",
    )
    return lambda: transform(image=image, segmentation=labels)


def torchio(image: torch.Tensor, labels: torch.Tensor) -> Callable[[], Any]:
    import torchio as tio

    transform = tio.RandomElasticDeformation(num_control_points=7, max_displacement=2 * DISPLACEMENT)
    subject = tio.Subject(image=tio.ScalarImage(tensor=image), labels=tio.LabelMap(tensor=labels))
    return lambda: transform(subject)


def monai(image: torch.Tensor, labels: torch.Tensor) -> Callable[[], Any]:
    from monai.transforms import Rand3DElasticd

    transform = Rand3DElasticd(
        ("image", "labels"),
        sigma_range=(5, 5),
        magnitude_range=(50, 150),
        spatial_size=SHAPE,
        prob=1,
        rotate_range=[float(np.deg2rad(ANGLE))] * 3,
        scale_range=[SCALES[1] - 1] * 3,
        mode=("bilinear", "nearest"),
        padding_mode="reflection",
    )
    return lambda: transform({"image": image, "labels": labels})


TOOLS = {"batchgeneratorsv2": batchgenerators, "torchio": torchio, "monai": monai}


def prepared(name: str) -> Callable[[], Any]:
    warnings.filterwarnings("ignore")
    generator = torch.Generator().manual_seed(0)
    image = torch.randn((CHANNELS, *SHAPE), generator=generator)
    labels = torch.randint(0, 3, (1, *SHAPE), generator=generator, dtype=torch.int16)
    return TOOLS[name](image, labels)


def repeat(name: str, tiles: int, barrier: Any) -> None:
    torch.set_num_threads(1)
    call = prepared(name)
    call()
    barrier.wait()
    for _ in range(tiles):
        call()
    barrier.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--tiles", type=int, default=6, help="tiles for each figure")
    tiles = parser.parse_args().tiles
    cores = os.cpu_count() or 1
    for name in TOOLS:
        call = prepared(name)
        call()
        seconds = []
        for _ in range(tiles):
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        context = get_context("spawn")
        barrier = context.Barrier(cores + 1)
        workers = [context.Process(target=repeat, args=(name, tiles, barrier)) for _ in range(cores)]
        for worker in workers:
            worker.start()
        barrier.wait()
        start = time.perf_counter()
        barrier.wait()
        rate = cores * tiles / (time.perf_counter() - start)
        for worker in workers:
            worker.join()
        print(json.dumps({"name": f"{name} {version(name)}", "seconds": float(np.median(seconds)), "rate": rate}))


if __name__ == "__main__":
    main()
