"""Volumes: voxels and their grid in space, reading, writing, mirroring."""
