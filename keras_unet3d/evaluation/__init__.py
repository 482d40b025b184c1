"""Evaluation: scores of predictions and the pictures that show them."""
