import gzip
import time

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from nnunetv2_strokesynth.io.nifti import (
    Geometry,
    orientation_is_known,
    read_geometry,
    read_header,
    read_volume,
    strip_suffix,
    write_volume,
)


def save(path, array, **fields):
    """Write (X, Y, Z, ...) with nibabel; ``fields`` overwrite header bytes afterwards."""
    nibabel.save(nibabel.Nifti1Image(array, np.diag([0.9, 0.8, 10, 1])), path)
    content = bytearray(path.read_bytes())
    header = nibabel.Nifti1Header(bytes(content[:348]), check=False)
    for name, value in fields.items():
        header[name] = value
    content[:348] = header.binaryblock
    path.write_bytes(bytes(content))
    return path


def test_header_is_in_z_y_x_order(tmp_path):
    header = read_header(save(tmp_path / "a.nii", np.zeros((5, 4, 3), np.float32)))
    assert header.shape_zyx == (3, 4, 5) and header.n_frames == 1
    assert header.spacing_zyx_mm == pytest.approx((10, 0.8, 0.9))


@pytest.mark.parametrize("shape", [(5, 4, 3, 7), (5, 4, 3, 1, 7), (5, 4, 3, 7, 1)])
def test_series_with_singleton_axes(tmp_path, shape):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    path = save(tmp_path / "ctp.nii", array)
    header = read_header(path)
    assert (header.n_frames, header.shape_zyx) == (7, (3, 4, 5))
    series = read_volume(path)
    plain = array.reshape(5, 4, 3, 7)
    assert series.shape == (7, 3, 4, 5)
    for x, y, z, t in [(0, 0, 0, 0), (4, 1, 2, 3), (2, 3, 0, 6)]:
        assert series[t, z, y, x] == plain[x, y, z, t]


def test_single_slice_is_not_squeezed_away(tmp_path):
    path = save(tmp_path / "one.nii", np.zeros((5, 4, 1, 7), np.float32))
    assert read_volume(path).shape == (7, 1, 4, 5)
    assert read_header(path).shape_zyx == (1, 4, 5)


def test_scaled_integers_and_gzip(tmp_path):
    array = np.arange(24, dtype=np.int16).reshape(4, 3, 2)
    path = save(tmp_path / "a.nii", array, scl_slope=0.5, scl_inter=-3)
    packed = tmp_path / "a.nii.gz"
    packed.write_bytes(gzip.compress(path.read_bytes()))
    for source in (path, packed):
        assert read_header(source).shape_zyx == (2, 3, 4)
        volume = read_volume(source)
        assert volume.dtype == np.float32
        np.testing.assert_array_equal(volume, array.T * 0.5 - 3)


@pytest.mark.parametrize("pixdim", [0, -0.9, np.nan, np.inf])
def test_voxel_sizes_must_be_positive(tmp_path, pixdim):
    path = save(tmp_path / "a.nii", np.zeros((5, 4, 3), np.float32))
    content = bytearray(path.read_bytes())
    content[80:84] = np.float32(pixdim).tobytes()
    path.write_bytes(bytes(content))
    with pytest.raises(ValueError, match=r"a\.nii: voxel sizes .* expected positive"):
        read_header(path)


def test_damaged_files(tmp_path):
    good = save(tmp_path / "good.nii", np.zeros((5, 4, 3), np.float32)).read_bytes()
    spoilt = {
        "empty": (b"", "0 bytes"),
        "short": (good[:-1], f"truncated, {len(good) - 1} bytes of the {len(good)}"),
        "header": (good[:200], "not a NIfTI-1 file"),
        "text": (b"<html>404 not found</html>" * 40, "not a NIfTI-1 file"),
    }
    for name, (content, message) in spoilt.items():
        path = tmp_path / f"{name}.nii"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_header(path)


def test_truncated_gzip_is_found_on_reading(tmp_path):
    rng = np.random.default_rng(0)
    good = save(tmp_path / "a.nii", rng.normal(size=(30, 30, 3)).astype(np.float32))
    packed = tmp_path / "a.nii.gz"
    packed.write_bytes(gzip.compress(good.read_bytes())[:-2000])
    read_header(packed)
    with pytest.raises(ValueError, match=r"a\.nii\.gz: truncated or damaged"):
        read_volume(packed)


def test_other_shapes_and_types(tmp_path):
    with pytest.raises(ValueError, match=r"shape \(5, 4\), expected \(X, Y, Z\)"):
        read_header(save(tmp_path / "flat.nii", np.zeros((5, 4), np.float32)))
    with pytest.raises(ValueError, match="expected numbers"):
        read_header(save(tmp_path / "complex.nii", np.zeros((5, 4, 3), np.complex64)))


def test_written_geometry(tmp_path):
    volume = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    write_volume(tmp_path / "a.nii.gz", volume, Geometry((10.0, 0.8, 0.9)))
    image = sitk.ReadImage(str(tmp_path / "a.nii.gz"))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(image), volume)
    assert image.GetSpacing() == pytest.approx((0.9, 0.8, 10))
    assert image.GetOrigin() == (0, 0, 0)
    assert image.GetDirection() == (1, 0, 0, 0, 1, 0, 0, 0, 1)


def test_written_bytes_do_not_hold_the_time(tmp_path):
    volume = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    write_volume(tmp_path / "a.nii.gz", volume, Geometry((10.0, 0.8, 0.9)))
    time.sleep(1.1)
    write_volume(tmp_path / "b.nii.gz", volume, Geometry((10.0, 0.8, 0.9)))
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_strip_suffix():
    assert strip_suffix("SMIR.Brain.XX.O.CT.345.nii") == "SMIR.Brain.XX.O.CT.345"
    assert strip_suffix("a.NII.GZ") == "a"
    assert strip_suffix("a.json") == "a.json"


def _tilted(degrees=8.0):
    """An affine whose y and z axes are turned about x, with pixels of 0.5 x 0.6 x 5 mm."""
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array(
        [[-0.5, 0, 0, 90], [0, -0.6 * c, -5 * s, 80], [0, -0.6 * s, 5 * c, -70], [0, 0, 0, 1]]
    )


def voxel_position_mm(geometry: Geometry, index_xyz: tuple[int, int, int]) -> np.ndarray:
    """Position of a voxel's centre, (x, y, z) in mm, LPS."""
    offset = np.array(index_xyz) * np.array(geometry.spacing_zyx_mm[::-1])
    return np.array(geometry.origin_xyz_mm) + np.reshape(geometry.direction, (3, 3)) @ offset


@pytest.mark.parametrize("code", ["sform", "qform"])
def test_geometry_is_simpleitk_s(tmp_path, code):
    path = tmp_path / "ct.nii.gz"
    image = nibabel.Nifti1Image(np.zeros((4, 5, 3), np.int16), None)
    getattr(image, f"set_{code}")(_tilted(), 1)
    image.header.set_zooms((0.5, 0.6, 5))
    nibabel.save(image, path)
    expected, found = sitk.ReadImage(str(path)), read_geometry(path)
    np.testing.assert_allclose(found.spacing_zyx_mm, expected.GetSpacing()[::-1], rtol=1e-5)
    np.testing.assert_allclose(found.origin_xyz_mm, expected.GetOrigin(), atol=1e-4)
    np.testing.assert_allclose(found.direction, expected.GetDirection(), atol=1e-5)
    position = expected.TransformIndexToPhysicalPoint((3, 2, 1))
    np.testing.assert_allclose(voxel_position_mm(found, (3, 2, 1)), position, atol=1e-4)
    assert orientation_is_known(path)


def test_written_geometry_is_read_back(tmp_path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 5, 3), np.int16), _tilted()), tmp_path / "ct.nii")
    geometry = read_geometry(tmp_path / "ct.nii")
    write_volume(tmp_path / "out.nii.gz", np.zeros((3, 5, 4), np.float32), geometry)
    again = read_geometry(tmp_path / "out.nii.gz")
    for found, expected in zip(again, geometry, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_affine_that_contradicts_the_voxel_sizes(tmp_path):
    header = nibabel.Nifti1Header()
    header.set_data_shape((4, 5, 3))
    header["pixdim"][1:4] = (0.9, 0.9, 5)
    header["sform_code"] = 2
    header["srow_x"], header["srow_y"], header["srow_z"] = np.eye(4)[:3]
    header["vox_offset"] = 352
    (tmp_path / "ct.nii").write_bytes(header.binaryblock + bytes(4 + 4 * 60))
    assert not orientation_is_known(tmp_path / "ct.nii")
    with pytest.raises(ValueError, match=r"contradicts itself, voxels of \[1.0, 1.0, 1.0\] mm"):
        read_geometry(tmp_path / "ct.nii")
