"""Fixtures of the trainers' tests."""

import os

import pytest


@pytest.fixture(scope="module")
def nnunet_variables(tmp_path_factory):
    """nnU-Net's three folders, empty, and none of our variables."""
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("strokesynth_")]:
            patch.delenv(name)
        for name in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
            patch.setenv(name, str(tmp_path_factory.mktemp(name)))
        yield
