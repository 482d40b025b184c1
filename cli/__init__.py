"""The command line: one command per file. Parsing and printing only."""

from unet3d_cli.main import main

__all__ = ["main"]
