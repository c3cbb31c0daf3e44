"""How well the lesion is seen: the table of pseudo-DWI, probability and DWI."""

import numpy as np
import pytest

from benchmarks.arena.visibility import HEADER, Truth, row


@pytest.fixture
def truth() -> dict[str, Truth]:
    found = {}
    for k in range(2):
        lesion = np.zeros((2, 8, 8), dtype=bool)
        lesion[1, :4, k : k + 3] = True
        brain = np.ones_like(lesion)
        texture = np.where(np.indices(lesion.shape).sum(axis=0) % 2, 0.4, 0.6)
        found[f"case_{k}"] = Truth(lesion, brain, np.where(lesion, 1.0, texture))
    return found


def test_a_row_has_step_sd_contrast_auc_and_cut(truth):
    cells = dict(zip(HEADER, row("x", {k: t.dwi for k, t in truth.items()}, truth), strict=True))
    assert float(cells["step"]) == pytest.approx(0.5, abs=0.01)
    assert float(cells["sd"]) == pytest.approx(0.1, abs=0.001)
    assert float(cells["contrast"]) == pytest.approx(5, abs=0.1)
    assert (cells["AUC"], cells["best cut, Dice %"], cells["scans"]) == ("1.000", "100.0", "2")


def test_a_blank_image_shows_nothing(truth):
    blank = {k: np.where(t.lesion, 0.5, t.dwi) for k, t in truth.items()}
    cells = dict(zip(HEADER, row("x", blank, truth), strict=True))
    assert abs(float(cells["contrast"])) < 0.1 and float(cells["AUC"]) == pytest.approx(
        0.5, abs=0.05
    )
    assert float(cells["best cut, Dice %"]) < 40
