"""Where the slices of a DICOM series lie, and what is refused as incomplete or uneven."""

import numpy as np
import pytest
import SimpleITK as sitk
from dicom_files import (
    CTP_SHAPE,
    ORIGIN,
    SPACING,
    refusal,
    tilt_about_x,
    voxels,
    write_ctp,
    write_slice,
)

from nnunetv2_strokesynth.io.dicom import tags as dicom_tags
from nnunetv2_strokesynth.io.dicom.reader import read_ctp_series
from nnunetv2_strokesynth.io.dicom.stack import stack_slices
from nnunetv2_strokesynth.io.nifti import read_geometry, write_volume

T, Z, Y, X = CTP_SHAPE
FEET_NORMAL = (-1.0, 0.0, 0.0, 0.0, 1.0, 0.0, 0.0, 0.0, -1.0)
SAGITTAL = (0.0, 0.0, -1.0, 1.0, 0.0, 0.0, 0.0, -1.0, 0.0)


@pytest.mark.parametrize("direction", [tilt_about_x(10), tilt_about_x(-35), FEET_NORMAL])
def test_geometry_is_that_of_simpleitk(tmp_path, ctp, direction):
    paths = write_ctp(tmp_path / "s", ctp, direction=direction)
    if direction == FEET_NORMAL:  # written from head to feet
        paths, ctp = paths[:, ::-1], ctp[:, ::-1]
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), ctp)
    expected = sitk.ReadImage([str(path) for path in paths[0]])
    geometry = series.geometry
    np.testing.assert_allclose(geometry.spacing_zyx_mm[::-1], expected.GetSpacing(), atol=1e-6)
    np.testing.assert_allclose(geometry.origin_xyz_mm, expected.GetOrigin(), atol=1e-6)
    last = expected.TransformIndexToPhysicalPoint((X - 1, Y - 1, Z - 1))
    steps = np.array(geometry.spacing_zyx_mm[::-1]) * (X - 1, Y - 1, Z - 1)
    reached = np.array(geometry.origin_xyz_mm) + np.reshape(geometry.direction, (3, 3)) @ steps
    np.testing.assert_allclose(reached, last, atol=1e-4)
    assert reached[2] > geometry.origin_xyz_mm[2] - Y * SPACING[1]
    assert np.reshape(geometry.direction, (3, 3))[2, 2] > 0  # towards the head


def test_rounded_cosines_give_orthogonal_axes(tmp_path, ctp):
    """Cosines of 2 digits: 0.98 and 0.17 of 10 degrees, and 0.02 where 0 should be."""
    path = write_ctp(tmp_path / "s", ctp[:1, :1])[0, 0]
    (header,) = dicom_tags.read_images(path)
    header = header._replace(orientation=(1.0, 0.02, 0.0, 0.0, 0.98, 0.17))
    direction = stack_slices([header], "s").direction
    np.testing.assert_allclose(direction.T @ direction, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(direction[:, 0], (0.9998, 0.019996, 0), atol=1e-6)
    np.testing.assert_allclose(direction[:, 2], (0.0034, -0.1708, 0.9853), atol=1e-3)


def test_geometry_survives_nifti(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, direction=FEET_NORMAL)
    series = read_ctp_series(tmp_path / "s")
    write_volume(tmp_path / "frame.nii.gz", next(iter(series)), series.geometry)
    read = read_geometry(tmp_path / "frame.nii.gz")
    for found, expected in zip(read, series.geometry, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_single_slice_takes_its_thickness(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp[:, :1], tags={"0018|0050": "7.5"})
    series = read_ctp_series(tmp_path / "s")
    assert series.geometry.spacing_zyx_mm == (7.5, *SPACING[1:]) and series.shape_zyx == (1, Y, X)
    write_ctp(tmp_path / "thin", ctp[:, :1], tags={"0018|0050": "0"})
    assert "SliceThickness" in refusal(tmp_path / "thin")


def test_missing_slice(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp[:, [0, 1, 2, 0, 1]], skip=[(t, 3) for t in range(T)])
    text = refusal(tmp_path / "s")
    assert "slices at 50.00 and 60.00 mm are 10.00 mm apart, the others 5.00 mm" in text
    assert "a slice is missing" in text


def test_small_jitter_of_positions_is_one_position(tmp_path, ctp):
    """0.03 mm is less than 1 % of 5 mm; 0.2 mm is not."""
    for size, name in ((0.03, "small"), (0.2, "large")):
        paths = write_ctp(tmp_path / name, ctp)
        image = sitk.GetImageFromArray(ctp[3, 1:2].astype(np.int16))
        image.SetSpacing(SPACING[::-1])
        image.SetOrigin((*ORIGIN[:2], ORIGIN[2] + 5 + size))
        reader = sitk.ImageFileReader()
        reader.SetImageIO("GDCMImageIO")
        reader.SetFileName(str(paths[3, 1]))
        reader.ReadImageInformation()
        names = set(reader.GetMetaDataKeys()) - {"0020|0032"}
        write_slice(paths[3, 1], image, {n: reader.GetMetaData(n) for n in names})
    np.testing.assert_array_equal(voxels(read_ctp_series(tmp_path / "small")), ctp)
    series = read_ctp_series(tmp_path / "large")
    np.testing.assert_array_equal(voxels(series), np.delete(ctp, 3, axis=0))
    assert "position(s) with few images: 45.20 mm (1)" in series.warnings[0]


def test_missing_frame(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, skip=[(7, 1)])
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_array_equal(voxels(series), np.delete(ctp, 7, axis=0))
    np.testing.assert_allclose(series.times_s, np.delete(2.0 * np.arange(T), 7))
    assert "dropped: 14.0 s (45.00 mm)" in series.warnings[0]
    write_ctp(tmp_path / "many", ctp, skip=[(t, 1) for t in (2, 5, 7)])
    text = refusal(tmp_path / "many")
    assert "45.00 mm has 9, expected 12 images" in text and "copy incomplete" in text


def test_not_axial(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, direction=SAGITTAL)
    assert "not axial" in refusal(tmp_path / "s")


def test_two_matrices_in_one_series(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, seed=1)
    write_ctp(tmp_path / "s", ctp[..., :-1], seed=2, tags={"0008|0018": "1.2.9"})
    assert "matrix (rows, columns)" in refusal(tmp_path / "s")


def test_tilted_gantry_is_straightened(tmp_path):
    """Slices whose positions move by 1 pixel in y: a line along the table stands upright after."""
    ctp = np.zeros(CTP_SHAPE, int)
    for z in range(Z):
        ctp[:, z, 4 - z, 3] = 500  # the same place, as the slices lie
        origin = (ORIGIN[0], ORIGIN[1] + SPACING[1] * z, ORIGIN[2] + 5 * z)
        uid = {"tags_of": lambda t, _, z=z: {"0008|0018": f"1.2.{t}.{z}"}}
        write_ctp(tmp_path / "s", ctp[:, z : z + 1], origin_xyz_mm=origin, seed=z, **uid)
    series = read_ctp_series(tmp_path / "s")
    np.testing.assert_allclose(voxels(series)[:, :, 3, 3], 500, atol=1e-3)
    assert series.geometry.spacing_zyx_mm[0] == 5
    x_mm, y_mm, _ = series.geometry.origin_xyz_mm
    assert y_mm + 3 * SPACING[1] == pytest.approx(ORIGIN[1] + 4 * SPACING[1])
    assert "gantry was tilted, the last slice lies 1.8 mm sideways" in series.warnings[0]


def test_shifted_image(tmp_path, ctp):
    write_ctp(tmp_path / "s", ctp, skip=[(5, 1)])
    origin = (ORIGIN[0] + 4, ORIGIN[1], ORIGIN[2])
    others = [(t, z) for t, z in np.ndindex(T, Z) if (t, z) != (5, 1)]
    write_ctp(tmp_path / "s", ctp, skip=others, origin_xyz_mm=origin, seed=1)
    assert "at 45.00 mm is shifted sideways by 4.00 mm" in refusal(tmp_path / "s")
