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


@pytest.mark.parametrize(
    ("text", "settled"),
    [
        ("a_lesion-msk.nii.gz is read as OT, and b_lesion-msk.nii is not", False),
        ("MTT: 2 voxels hold no measurement (2 NaN) and became background; 0 % of the brain", True),
        ("x.nii does not lie on the CT's voxels and was resampled: it has ...; the CT has", True),
        ("x.nii was resampled: it has ...; it shows 60 % of the middle, the rest is empty", False),
        ("0.86 of 16.77 mL of lesion lie outside the brain mask, where", True),
        ("52% OF THE LESION LIES WHERE THE NETWORK SEES NOTHING", False),
        ("the CT's median in the brain is 1059, expected 10 to 70 HU", False),
    ],
)
def test_which_warnings_of_the_converter_need_no_decision(text, settled):
    (found,) = name_known("isles2018", [CaseFinding(Level.DOUBTFUL, "", text)])
    assert (found.level == Level.NOTE) == settled


def test_the_second_mask_of_one_patient():
    said = "a_space-ncct_lesion-msk.nii.gz is read as OT, and x/b_lesion-msk.nii is not"
    (found,) = name_known("isles2024", [CaseFinding(Level.DOUBTFUL, "", said)], "x/sub-stroke0142")
    assert found.level == Level.NOTE and "second lesion mask" in found.known
