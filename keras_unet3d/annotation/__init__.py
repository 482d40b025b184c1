"""Annotation: datasets and their check, label values and class indices, weights, annotated slices."""
