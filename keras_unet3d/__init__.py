"""The 3D U-Net for Keras: annotate a few slices of a volume, get every voxel segmented."""
