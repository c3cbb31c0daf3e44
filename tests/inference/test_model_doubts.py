"""A model that has seen no patient says so in every result."""

import pytest

from nnunetv2_strokesynth.inference.model_doubts import PHANTOM_MODEL, with_model_doubts
from nnunetv2_strokesynth.inference.patient import Prepared


@pytest.mark.parametrize(("origin", "n_warnings"), [("digital phantom", 2), ("ISLES 2018", 1)])
def test_a_model_of_the_phantom_warns_before_all_others(origin, n_warnings):
    prepared = Prepared(None, None, None, ["doubt", "note"], ["doubt"])
    found = with_model_doubts(prepared, {"origin": origin})
    assert len(found.warnings) == n_warnings and found.warnings[-1] == "doubt"
    assert set(found.warnings) <= set(found.notes)
    assert (found.warnings[0] == PHANTOM_MODEL) == (n_warnings == 2)


def test_a_model_that_learned_from_poor_outlines_says_so():
    prepared = Prepared(None, None, None, ["doubt"], ["doubt"])
    readers = {"outline_readers": {"dice": 0.6, "warnings": ["Dice 0.600"]}}
    found = with_model_doubts(prepared, readers)
    assert found.warnings == [
        "the model learned from outlines that machines drew: Dice 0.600", "doubt"
    ]  # fmt: skip
    assert found.notes == found.warnings
    for sound in ({"dice": 0.9, "warnings": []}, None, {"warnings": None}):
        assert with_model_doubts(prepared, {"outline_readers": sound}) is prepared


def test_a_model_older_than_the_record_of_origins_says_nothing():
    prepared = Prepared(None, None, None, [])
    assert with_model_doubts(prepared, {}) is prepared
