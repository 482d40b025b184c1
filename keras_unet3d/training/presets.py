"""Settings that belong together, by name."""

from typing import Any, Literal

Preset = Literal["paper"]

PRESETS: dict[Preset, dict[str, Any]] = {
    "paper": {
        "working_spacing": "none",
        "tile": "x=132 y=132 z=116",
        "batch_size": 1,
        "hold_out": "nothing",
        "precision": "float32",
        "network": {
            "filters": 32,
            "depth": 3,
            "padding": "valid",
            "unpooled": "x=0 y=0 z=0",
            "dimensions": 3,
            "normalization": "batch",
            "statistics": "current",
        },
        "optimizer": {"name": "sgd", "schedule": "constant", "warm_up_steps": 0, "clip_norm": 0.0},
        "loss": {"dice": 0.0, "class_weights": "balanced"},
        "augmentation": {"displacement_sigma": 4.0, "displacement_spacing": 32},
    },
}
"""``"paper"``: what Çiçek et al. 2016 name: the network (section 2), its tile, current statistics at test time, the
deformation, softmax with weighted cross entropy and stochastic gradient descent (section 3.2); in float32, with nothing
held out, and without clipping or warm-up, of which it says nothing. It has no numbers for the learning rate, momentum,
class weights, rotation, scaling and grey values, and says nothing of raw intensities: there ours stay. It took 70,000
steps, which ``--steps 70000`` says."""
