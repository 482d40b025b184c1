"""Serving: SavedModels that need none of this package's code."""
