"""Readers are judged by the outlines of persons that they have not seen, not by their agreement."""

import json

import pytest

from nnunetv2_strokesynth.outlining.outlines import Measured
from nnunetv2_strokesynth.outlining.reader_quality import ReaderQuality

SCANS = [Measured("a", 0.9, 0.8), Measured("b", 0.8, 0.4), Measured("c", 0.2, 0.3)]


def test_the_scans_that_would_be_used_decide():
    quality = ReaderQuality.of(SCANS, 0.7)
    assert quality.scans == 3 and quality.dice == pytest.approx(0.5)
    assert quality.agreeing == 2 and quality.decisive_dice == pytest.approx(0.6)
    quality.check(0.6)
    with pytest.raises(ValueError, match=r"on the 2 with .* 0.7: 0.600, expected at least 0.61"):
        quality.check(0.61)


def test_where_none_would_be_used_all_decide():
    quality = ReaderQuality.of(SCANS, 0.95)
    assert not quality.agreeing and quality.decisive_dice == pytest.approx(0.5)
    with pytest.raises(ValueError, match="none has an agreement of at least 0.95"):
        quality.check(0.51)


@pytest.mark.parametrize(("dice", "is_doubtful"), [(0.5, True), (0.69, True), (0.7, False)])
def test_below_what_readers_must_reach_with_one_another_they_are_doubtful(dice, is_doubtful):
    quality = ReaderQuality.of([Measured("a", 0.98, dice)], 0.7)
    quality.check(0.5)
    assert bool(quality.warnings) == is_doubtful


def test_an_unknown_dice_is_said_and_refuses_nothing():
    quality = ReaderQuality.of([], 0.7)
    quality.check(0.5)
    assert quality.warnings == [
        "no outlined scan is unseen by two readers: their Dice is unknown"
    ]  # fmt: skip
    record = json.loads(json.dumps(quality.record, allow_nan=False))
    assert record["dice"] is None and record["warnings"] == quality.warnings
