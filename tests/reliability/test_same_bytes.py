"""The same seed and the same scans give the same bytes, in any process and on any path.

Two and one workers in one process are compared beside the phantom's and the converter's own tests.
"""

import subprocess

import pytest

from nnunetv2_strokesynth.nnunet_commands import (
    command_path,
    users_environment,
)


@pytest.fixture
def run(tmp_path):
    """Function: run a command with a hash seed of its own, which orders Python's sets."""

    def command(hash_seed, raw, *arguments):
        variables = users_environment() | {"PYTHONHASHSEED": hash_seed, "nnUNet_raw": str(raw)}
        finished = subprocess.run(
            [command_path("strokesynth"), *map(str, arguments)],
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert finished.returncode == 0, finished.stderr

    return command


def test_phantom_and_conversion(tmp_path, run, digests):
    small = ["--cases", 4, "--size", 32, "--max-slices", 2, "--seed", 4]
    phantoms = [tmp_path / "one" / "scans", tmp_path / "two" / "further down" / "scans"]
    for hash_seed, workers, phantom in zip(("1", "2"), (1, 2), phantoms, strict=True):
        run(hash_seed, tmp_path, "phantom", phantom, *small, "--workers", workers)
    assert digests(phantoms[0]) == digests(phantoms[1])
    # The records hold the times of the scans' files, so both conversions read one phantom.
    link = tmp_path / "link"
    link.symlink_to(phantoms[0], target_is_directory=True)
    raws = [tmp_path / "raw_one", tmp_path / "elsewhere" / "raw_two"]
    for hash_seed, workers, raw in zip(("3", "4"), (1, 2), raws, strict=True):
        source = phantoms[0] if workers == 1 else link
        run(hash_seed, raw, "convert", "isles2018", source, "--folds", 2, "--workers", workers)
    assert len(digests(raws[0])) > 20
    assert digests(raws[0]) == digests(raws[1])
