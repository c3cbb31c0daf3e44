import pytest

from nnunetv2_strokesynth.dataset_conversion.findings import CaseFinding, Level
from nnunetv2_strokesynth.dataset_conversion.known_defects import KNOWN_DEFECTS, name_known
from nnunetv2_strokesynth.dataset_conversion.registry import KINDS

TRUNCATED = CaseFinding(Level.REFUSED, "CBF", "x.nii.gz: truncated or damaged (EOF); copy it again")
MASKS = CaseFinding(Level.DOUBTFUL, "", "the perfusion maps are not masked to the brain: by ...")


def test_a_defect_of_one_patient_is_known_there_alone():
    (there,) = name_known("isles2024", [TRUNCATED], "raw_data/sub-stroke0043")
    (elsewhere,) = name_known("isles2024", [TRUNCATED], "raw_data/sub-stroke0044")
    (other,) = name_known("isles2018", [TRUNCATED], "raw_data/sub-stroke0043")
    assert "truncated in the release's own archive" in there.known
    assert elsewhere == other == TRUNCATED


def test_what_is_settled_becomes_a_note_and_a_refusal_never_does():
    (settled,) = name_known("isles2024", [MASKS])
    assert settled.level == Level.NOTE and settled.known
    (same,) = name_known("isles2018", [MASKS])
    assert same == MASKS
    (still,) = name_known("isles2024", [MASKS._replace(level=Level.REFUSED)])
    assert still.level == Level.REFUSED


def test_the_worst_comes_first():
    note = CaseFinding(Level.NOTE, "", "a note")
    doubt = CaseFinding(Level.DOUBTFUL, "", "a doubt")
    found = name_known("isles2018", [note, doubt, TRUNCATED])
    assert found == [TRUNCATED, doubt, note]


@pytest.mark.parametrize("defect", KNOWN_DEFECTS, ids=lambda defect: defect.pattern)
def test_every_entry_is_of_a_kind_and_says_something(defect):
    assert defect.kind in (*KINDS, "")
    assert defect.known
