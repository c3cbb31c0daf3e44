"""Masks, picture and volumes as DICOM, read back by highdicom and SimpleITK: linked, in place."""

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk
from dicom_files import STUDY, tilt_about_x, write_ctp

from nnunetv2_strokesynth.io.dicom import export
from nnunetv2_strokesynth.io.dicom.export import (
    INFARCT,
    ISCHAEMIA,
    Segment,
    require_highdicom,
    write_capture,
    write_segmentation,
)
from nnunetv2_strokesynth.io.dicom.measurement_report import Volume, write_measurements
from nnunetv2_strokesynth.io.dicom.reader import read_ctp_series

hd = pytest.importorskip("highdicom")
NAMES = {"0010|0010": "DOE^JANE", "0010|0020": "42", "0020|0052": "1.2.3.4"}


@pytest.fixture(params=[0.0, 12.0], ids=["straight", "oblique"])
def series(request, tmp_path):
    ctp = np.random.default_rng(0).integers(20, 60, (12, 3, 8, 9))
    write_ctp(tmp_path / "ct", ctp, direction=tilt_about_x(request.param), tags=NAMES)
    return read_ctp_series(tmp_path / "ct")


def world_of(mask, geometry):
    """Positions of a mask's voxels in mm, by the geometry alone; a set of rounded triples."""
    direction = np.reshape(geometry.direction, (3, 3))
    index_xyz = np.argwhere(mask)[:, ::-1] * np.array(geometry.spacing_zyx_mm)[::-1]
    return places(index_xyz @ direction.T + geometry.origin_xyz_mm)


def places(positions):
    return {tuple(np.round(position, 2) + 0.0) for position in positions}


def masks(shape):
    lesion, late = np.zeros(shape, bool), np.zeros(shape, bool)
    lesion[1, 2:5, 3:6], lesion[2, 4, 7] = True, True
    late[1:, 2:6, 3:9] = True
    return lesion, late


def written(series, path):
    lesion, late = masks(series.shape_zyx)
    segments = [
        Segment("predicted lesion", lesion, INFARCT),
        Segment("Tmax > 6 s", late, ISCHAEMIA),
        Segment("rCBF < 30 %", np.zeros_like(lesion), INFARCT),
    ]
    write_segmentation(path, segments, series.geometry, series.files[0])
    return lesion, late


def test_highdicom_finds_each_voxel_where_it_was(series, tmp_path):
    lesion, late = written(series, tmp_path / "seg.dcm")
    found = hd.seg.segread(tmp_path / "seg.dcm")
    assert [d.segment_label for d in map(found.get_segment_description, (1, 2, 3))] == [
        "predicted lesion",
        "Tmax > 6 s",
        "rCBF < 30 %",
    ]
    volume = found.get_volume(combine_segments=False)
    for number, mask in enumerate((lesion, late)):
        index = np.argwhere(volume.array[..., number])
        positions = index @ volume.affine[:3, :3].T + volume.affine[:3, 3]
        assert places(positions) == world_of(mask, series.geometry)
    assert not volume.array[..., 2].any()


def test_simpleitk_finds_the_same_voxels(series, tmp_path):
    """Its pixels, each frame at the position that its header gives."""
    lesion, _ = written(series, tmp_path / "seg.dcm")
    frames = sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "seg.dcm")))
    header = pydicom.dcmread(tmp_path / "seg.dcm")
    shared = header.SharedFunctionalGroupsSequence[0]
    axes = np.reshape(shared.PlaneOrientationSequence[0].ImageOrientationPatient, (2, 3))
    spacing_yx = np.array(shared.PixelMeasuresSequence[0].PixelSpacing, float)
    positions = []
    for frame, groups in zip(frames, header.PerFrameFunctionalGroupsSequence, strict=True):
        if groups.SegmentIdentificationSequence[0].ReferencedSegmentNumber == 1:
            origin = np.array(groups.PlanePositionSequence[0].ImagePositionPatient, float)
            across = np.argwhere(frame)[:, ::-1] * spacing_yx[::-1]
            positions += list(across @ axes + origin)
    assert places(positions) == world_of(lesion, series.geometry)


def test_both_are_linked_to_the_study(series, tmp_path):
    written(series, tmp_path / "seg.dcm")
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[3, 4] = (250, 10, 90)
    write_capture(tmp_path / "page.dcm", picture, series.files[0])
    seg, page = (pydicom.dcmread(tmp_path / name) for name in ("seg.dcm", "page.dcm"))
    for found in (seg, page):
        assert (found.StudyInstanceUID, found.PatientID) == (STUDY, "42")
        assert str(found.PatientName) == "DOE^JANE"
        assert "research only" in found.SeriesDescription
    assert seg.FrameOfReferenceUID == "1.2.3.4" and seg.Modality == "SEG"
    referenced = seg.ReferencedSeriesSequence[0]
    assert referenced.SeriesInstanceUID == STUDY + ".1"
    assert seg.SeriesInstanceUID != page.SeriesInstanceUID != STUDY + ".1"
    np.testing.assert_array_equal(page.pixel_array, picture)


def test_without_highdicom_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(export.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match=r"pip install 'nnunetv2_strokesynth\[dicom\]'"):
        require_highdicom()


VOLUMES = [
    Volume("predicted lesion", 12.345, INFARCT, segment=1),
    Volume("Tmax > 6 s", 80.2, ISCHAEMIA, segment=2),
    Volume("rCBF < 30 %", 0.0, INFARCT, segment=3),
    Volume("Tmax > 4 s", 131.7, ISCHAEMIA),
    Volume("brain in the scan", 567.0),
]


def reported(path):
    """Name -> (value, unit, segment or None) of each measurement group of a report."""
    report = hd.sr.srread(path)
    found = {}
    for group in report.content.get_volumetric_roi_measurement_groups():
        number = group.referenced_segment.referenced_segment_numbers[0]
        found[group.tracking_identifier] = (group, number)
    for group in report.content.get_image_measurement_groups():
        found[group.tracking_identifier] = (group, None)
    return {
        name: (float(group.get_measurements()[0].value), group.get_measurements()[0].unit, number)
        for name, (group, number) in found.items()
    }


def test_the_report_has_each_volume_with_its_segment(series, tmp_path):
    written(series, tmp_path / "seg.dcm")
    write_measurements(tmp_path / "sr.dcm", VOLUMES, tmp_path / "seg.dcm", series.files[0])
    found = reported(tmp_path / "sr.dcm")
    assert {name: (ml, number) for name, (ml, _, number) in found.items()} == {
        volume.label: (volume.ml, volume.segment) for volume in VOLUMES
    }
    assert {unit.value for _, unit, _ in found.values()} == {"mL"}


def test_the_report_is_linked_to_masks_and_series(series, tmp_path):
    written(series, tmp_path / "seg.dcm")
    write_measurements(tmp_path / "sr.dcm", VOLUMES, tmp_path / "seg.dcm", series.files[0])
    report, masks = (pydicom.dcmread(tmp_path / name) for name in ("sr.dcm", "seg.dcm"))
    assert report.SOPClassUID == pydicom.uid.ComprehensiveSRStorage and report.Modality == "SR"
    assert (report.StudyInstanceUID, report.PatientID) == (STUDY, "42")
    assert (report.PreliminaryFlag, report.VerificationFlag) == ("PRELIMINARY", "UNVERIFIED")
    assert "research only" in report.SeriesDescription
    evidence = [
        group
        for name in ("CurrentRequestedProcedureEvidenceSequence", "PertinentOtherEvidenceSequence")
        for study in report.get(name, [])
        for group in study.ReferencedSeriesSequence
    ]
    assert {group.SeriesInstanceUID for group in evidence} == {
        STUDY + ".1",
        masks.SeriesInstanceUID,
    }
    names = {image.ReferencedSOPInstanceUID for s in evidence for image in s.ReferencedSOPSequence}
    sources = {pydicom.dcmread(path).SOPInstanceUID for path in series.files[0]}
    assert names == {masks.SOPInstanceUID} | sources


def test_what_anonymised_files_leave_out_stays_empty(series, tmp_path):
    for path in series.files[0]:
        header = pydicom.dcmread(path)
        for name in export._MAY_BE_EMPTY:
            if name in header:
                delattr(header, name)
        header.save_as(path)
    written(series, tmp_path / "seg.dcm")
    write_capture(tmp_path / "page.dcm", np.zeros((4, 4, 3), np.uint8), series.files[0])
    volumes = [Volume("predicted lesion", 1.0, INFARCT, segment=1)]
    write_measurements(tmp_path / "sr.dcm", volumes, tmp_path / "seg.dcm", series.files[0])
    for name in ("seg.dcm", "page.dcm", "sr.dcm"):
        assert not pydicom.dcmread(tmp_path / name).PatientID


@pytest.mark.parametrize("name", export._IDENTIFIERS)
def test_a_file_that_nothing_can_be_linked_to_is_named(series, tmp_path, name):
    path = series.files[0][0]
    header = pydicom.dcmread(path)
    delattr(header, name)
    header.save_as(path)
    with pytest.raises(ValueError, match=f"{path.name} has no {name}"):
        written(series, tmp_path / "seg.dcm")
