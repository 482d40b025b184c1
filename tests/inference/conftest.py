"""Networks that several segmentations share."""

import pytest


@pytest.fixture(scope="session")
def _compiled():
    return {}


@pytest.fixture
def compiled_once(_compiled, monkeypatch):
    """Jobs take the predictor of an earlier job for the same network: to trace one takes longer than the work."""
    from keras_unet3d.inference import job

    new = job.NetworkPredictor

    def predictor(model, geometry, **settings):
        key = (id(model), *settings.items())
        if key not in _compiled:
            _compiled[key] = new(model, geometry, **settings)  # which keeps the model, and thereby its id
        found = _compiled[key]
        found.moments = None
        return found

    monkeypatch.setattr(job, "NetworkPredictor", predictor)
