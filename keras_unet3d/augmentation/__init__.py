"""Augmentation: one coordinate map, one resampling of image and labels, grey values; two engines for it."""
