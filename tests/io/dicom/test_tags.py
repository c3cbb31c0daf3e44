"""What is read of a DICOM file's tags, and what is not."""

from pathlib import Path

import pytest

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
    found = dicom_tags.parse_time(text)
    assert found == (None if seconds is None else seconds * 1_000_000)


def test_dates():
    assert dicom_tags.parse_date("20240301") - dicom_tags.parse_date("2024.02.28") == 2
    assert [dicom_tags.parse_date(text) for text in ("", "20240230", "2024")] == [None] * 3


def test_no_patient_tag_is_read():
    """Group 0010 is the patient's; these of group 0008 name people, places and the request."""
    folder = Path(dicom_tags.__file__).parent
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    assert "0020|0032" in source
    source = source.replace("0008|103e", "").replace("0008|1090", "")  # series, scanner model
    for tag in ("0010|", "0008|0050", "0008|0080", "0008|0081", "0008|0090", "0008|10"):
        assert tag not in source
