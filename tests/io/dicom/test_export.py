"""DICOM-SEG and secondary capture, read back by highdicom and by SimpleITK: linked, in place."""

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
