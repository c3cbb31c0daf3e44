"""``strokesynth predict --submit`` of a folder of patients: a job for each, then the table."""

from __future__ import annotations

import pytest

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.inference.patient_result import RESULT_FILE

pytest.importorskip("submitit")

SLURM = ["--submit", "slurm", "--slurm", "time=30", "gres=gpu:1"]


@pytest.fixture
def patients(tmp_path):
    """Three folders that look like patients; what their files hold does not matter here."""
    for name in ("anna", "bert", "cora"):
        (tmp_path / "patients" / name).mkdir(parents=True)
        (tmp_path / "patients" / name / "ctp.nii.gz").touch()
    return tmp_path / "patients"


def command_of(folder, number):
    from submitit.core.utils import DelayedSubmission

    stored = DelayedSubmission.load(folder / "submitit" / f"{number}_submitted.pkl")
    (step,) = stored.function.steps
    return step.command


def test_a_job_for_each_patient_without_a_result_then_the_table(patients, slurm, tmp_path):
    done = tmp_path / "lesions" / "bert"
    done.mkdir(parents=True)
    (done / RESULT_FILE).write_text("{}")
    words = [
        "predict",
        str(patients),
        "-m",
        "model",
        "-o",
        str(tmp_path / "lesions"),
        "-f",
        "0",
        "1",
    ]
    assert main([*words, *SLURM]) == 0
    found = slurm.batches()
    assert list(found) == ["anna", "cora", "write_table"]
    assert found["write_table"]["dependency"] == "afterany:1:2"
    jobs = tmp_path / "lesions_jobs"
    first = ["strokesynth", "predict", str(patients / "anna"), "-m", "model", "-f", "0", "1"]
    assert command_of(jobs, 1) == [*first, "-o", str(tmp_path / "lesions" / "anna")]
    assert command_of(jobs, 3)[:3] == ["strokesynth", "predict", str(patients)]
    assert not (tmp_path / "lesions" / "anna").exists()  # the output is left to the jobs


def test_overwrite_computes_each_again_and_the_table_keeps_them(patients, slurm, tmp_path):
    words = [
        "predict",
        str(patients),
        "-m",
        "model",
        "-o",
        str(tmp_path / "lesions"),
        "--overwrite",
    ]
    assert main([*words, *SLURM]) == 0
    jobs = tmp_path / "lesions_jobs"
    assert [("--overwrite" in command_of(jobs, number)) for number in range(1, 5)] == [
        True, True, True, False
    ]  # fmt: skip


def test_one_scan_is_not_submitted(patients, slurm, tmp_path, capsys):
    words = ["predict", str(patients / "anna"), "-m", "model", "-o", str(tmp_path / "one")]
    assert main([*words, *SLURM]) == 2
    assert "--submit is for a folder of patients" in capsys.readouterr().err
    assert slurm.batches() == {}
