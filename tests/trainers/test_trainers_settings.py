"""All exported trainers do what they did: their settings equal the stored ones."""

import json

import pytest
from grouped_settings import as_text, expanded, grouped
from resolved_settings import STORED, exported_trainers, resolved_settings

from nnunetv2_strokesynth.papers.gomez2023.mri_subsets import SUBSET_TRAINERS

MISSING = "(nothing)"


def differences(before: dict, after: dict) -> list[str]:
    """One line for each setting that is not the same."""
    return [
        f"{key}: {json.dumps(before.get(key, MISSING))} -> {json.dumps(after.get(key, MISSING))}"
        for key in sorted(before.keys() | after.keys())
        if before.get(key, MISSING) != after.get(key, MISSING)
    ]


STORED_SETTINGS = expanded(json.loads(STORED.read_text()))


def test_the_exported_trainers_are_those_that_are_stored():
    """Also those made in a loop: a trainer that is not stored could change unseen."""
    assert list(exported_trainers()) == sorted(STORED_SETTINGS)
    assert set(SUBSET_TRAINERS) <= set(STORED_SETTINGS)


@pytest.mark.parametrize("name", exported_trainers())
def test_settings_are_those_that_are_stored(name, nnunet_variables):
    found = resolved_settings(exported_trainers()[name])
    changed = differences(STORED_SETTINGS[name], json.loads(json.dumps(found)))
    assert not changed, (
        f"{name} has changed. If it was meant to change, run "
        "`python tests/support/resolved_settings.py` and say so in CHANGELOG.md.\n"
        + "\n".join(changed)
    )


def test_groups_and_settings_are_two_ways_to_write_the_same():
    settings = {"A": {"x": 1, "y": [2]}, "B": {"x": 1, "y": None}, "C": {"x": 3, "y": [2]}}
    assert expanded(json.loads(as_text(grouped(settings)))) == settings
    stored = json.loads(as_text(grouped(settings, variant_of={"C": "A"})))
    assert expanded(stored) == settings
    assert stored["variants"] == {"C": {"as": "A", "but": {"x": 3}}}
    assert differences(settings["A"], settings["B"]) == ["y: [2] -> null"]
