"""What is read of a DICOM file's tags, and what is not."""

from pathlib import Path

import pytest
from pydicom.datadict import tag_for_keyword
from pydicom.tag import Tag

from nnunetv2_strokesynth.io.dicom import moments
from nnunetv2_strokesynth.io.dicom import tags as dicom_tags


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("102030.25", 37230.25),
        ("10:20:30", 37230),  # ACR-NEMA
        ("1020", 37200),
        ("10", 36000),
        ("000000", 0),
        ("250000", None),
        ("", None),
        ("10203a", None),
    ],
)
def test_times_of_day(text, seconds):
    found = moments.parse_time(text)
    assert found == (None if seconds is None else seconds * 1_000_000)


def test_dates():
    assert moments.parse_date("20240301") - moments.parse_date("2024.02.28") == 2
    assert [moments.parse_date(text) for text in ("", "20240230", "2024")] == [None] * 3


def test_no_patient_tag_is_read():
    """None of the tags that are read is in the patient's group, or names people or places."""
    assert "ImagePositionPatient" in dicom_tags._TAGS
    for name in dicom_tags._TAGS:
        tag = Tag(tag_for_keyword(name))
        assert tag.group != 0x0010, name
        for word in ("Name", "Physician", "Institution", "Operator", "Accession", "Address"):
            assert word not in name.replace("ManufacturerModelName", "")
    folder = Path(dicom_tags.__file__).parent
    writers = {"export.py", "measurement_report.py"}  # --dicom: a copy carries its identifiers
    assert writers < {path.name for path in folder.glob("*.py")}
    readers = [path for path in folder.glob("*.py") if path.name not in writers]
    source = "".join(path.read_text() for path in readers)
    for word in ("PatientName", "PatientID", "PatientBirth", "AccessionNumber", "Institution"):
        assert word not in source
