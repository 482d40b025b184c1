"""Other tools' distances between borders of one case, each as its users call it: seconds, and what it says.

    python benchmarks/peers/surface_metrics.py case.npz

Prints a line of JSON for each tool that is installed; `benchmarks/metrics.py` writes the case.
"""

import argparse
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

import numpy as np

Values = dict[str, list[float]]


@dataclass(frozen=True)
class Case:
    """Class indices `(z, y, x)` 0 and 1 are measured; spacing along z, y, x and the tolerance in one unit."""

    truth: np.ndarray[Any, Any]
    prediction: np.ndarray[Any, Any]
    spacing: tuple[float, ...]
    tolerance: float


def surface_distance(case: Case) -> Values:
    import surface_distance as package

    values: Values = {"hausdorff": [], "hausdorff_95": [], "assd": [], "surface_dice": []}
    for index in (0, 1):
        found = package.compute_surface_distances(case.truth == index, case.prediction == index, case.spacing)
        values["hausdorff"].append(package.compute_robust_hausdorff(found, 100))
        values["hausdorff_95"].append(package.compute_robust_hausdorff(found, 95))
        values["assd"].append(float(np.mean(package.compute_average_surface_distance(found))))  # of both directions
        values["surface_dice"].append(package.compute_surface_dice_at_tolerance(found, case.tolerance))
    return values


def medpy(case: Case) -> Values:
    from medpy.metric import binary

    measures = {"hausdorff": binary.hd, "hausdorff_95": binary.hd95, "assd": binary.assd}
    return {
        name: [measure(case.prediction == index, case.truth == index, voxelspacing=case.spacing) for index in (0, 1)]
        for name, measure in measures.items()
    }


def monai(case: Case) -> Values:
    import torch
    from monai import metrics

    prediction, truth = (
        torch.from_numpy(np.stack([labels == index for index in (0, 1)])[None])
        for labels in (case.prediction, case.truth)
    )
    options: dict[str, Any] = {"include_background": True, "spacing": case.spacing}
    found = {
        "hausdorff": metrics.compute_hausdorff_distance(prediction, truth, **options),
        "hausdorff_95": metrics.compute_hausdorff_distance(prediction, truth, percentile=95, **options),
        "assd": metrics.compute_average_surface_distance(prediction, truth, symmetric=True, **options),
        "surface_dice": metrics.compute_surface_dice(prediction, truth, [case.tolerance] * 2, **options),
    }
    return {name: values[0].tolist() for name, values in found.items()}


TOOLS: dict[str, tuple[str, Callable[[Case], Values]]] = {
    "monai": ("monai", monai),
    "medpy": ("medpy", medpy),
    "surface-distance": ("surface_distance", surface_distance),
}


def main() -> None:
    warnings.filterwarnings("ignore")
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("case", help="what benchmarks/metrics.py writes")
    parser.add_argument(
        "--repeats", type=int, default=3, help="whose median counts; what it imports counts in the first"
    )
    arguments = parser.parse_args()
    with np.load(arguments.case) as arrays:
        spacing = tuple(arrays["spacing"].tolist())
        case = Case(arrays["truth"], arrays["prediction"], spacing, float(arrays["tolerance"]))
    for name, (module, measure) in TOOLS.items():
        if find_spec(module) is None:
            continue
        seconds = []
        for _ in range(arguments.repeats):
            start = time.perf_counter()
            values = measure(case)
            seconds.append(time.perf_counter() - start)
        plain = {key: [float(value) for value in found] for key, found in values.items()}
        print(json.dumps({"name": f"{name} {version(name)}", "seconds": float(np.median(seconds)), "values": plain}))


if __name__ == "__main__":
    main()
