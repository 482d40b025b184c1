"""The phantom: a synthetic kidney, the embedded data of the demo and the tests."""
