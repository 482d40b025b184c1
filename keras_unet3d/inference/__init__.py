"""Inference: tile plans and tiled prediction with any predictor."""
