"""Figures are built but not rendered, which takes most of a command's time."""

import pytest


@pytest.fixture(autouse=True)
def _quick_figures(quick_figures):
    """See ``volume_files``; a test that asks for ``real_figures`` has them rendered."""
