"""The network: the 3D U-Net and its 2D sibling, normalisation, losses, the arithmetic of sizes."""
