"""``reproduce --submit``: a job for each fold, then one for each row, then the table."""

from __future__ import annotations

import json

import pytest

from nnunetv2_strokesynth.cli import main

pytest.importorskip("submitit")

UNET, SLNET = "StrokeSynthTrainer_SegUNet", "StrokeSynthTrainer_SegSLNet"


@pytest.fixture
def submit(world, slurm, capsys):
    """Runs the command; returns the jobs that SLURM got, in order: name -> options."""

    def run(*words, rc=0):
        rest = ["-o", str(world.out), "-device", "cpu", "--submit", "slurm", "--slurm", "time=60"]
        code = main(["reproduce", *words, *rest])
        error = capsys.readouterr().err
        assert code == rc, error
        return error if rc else slurm.batches()

    return run


def commands_of(world, number):
    from submitit.core.utils import DelayedSubmission

    stored = DelayedSubmission.load(world.out / "submitit" / f"{number}_submitted.pkl")
    return [step.command for step in stored.function.steps]


def test_one_job_for_each_fold_then_the_row_then_the_table(world, submit):
    world.finish(UNET, [1])
    world.fold(UNET, 2, "checkpoint_latest.pth")
    found = submit("table3", "--rows", UNET, "--folds", "0", "1", "2")
    assert list(found) == [f"{UNET}_fold_0", f"{UNET}_fold_2", f"{UNET}_measure", "table"]
    assert found[f"{UNET}_measure"]["dependency"] == "afterok:1:2"
    assert found["table"]["dependency"] == "afterany:1:2:3"
    (train,) = commands_of(world, 1)
    assert train == f"nnUNetv2_train 18 2d 0 -tr {UNET} -device cpu --c".split()
    assert [command[:2] for command in commands_of(world, 3)] == [["strokesynth", "evaluate"]]
    (table,) = commands_of(world, 4)
    assert table[:3] == ["strokesynth", "reproduce", "table3"] and table[-1] == "--only-table"
    assert not {"--submit", "--slurm"} & set(table)
    assert (world.out / "table3.md").is_file()


def test_the_tables_job_writes_the_table_and_runs_nothing(world, submit):
    submit("table3", "--rows", UNET, SLNET, "--folds", "0", "--also", "nnUNetTrainer")
    (table,) = commands_of(world, max(json_numbers(world)))
    world.finish(UNET, [0])
    world.evaluate(UNET, dice=[0.5] * 2, case_id=["case_000", "case_005"])
    assert main(table[1:]) == 0
    page = (world.out / "table3.md").read_text(encoding="utf-8")
    assert "finished: 1 of 8 rows" in page
    assert not (world.out / "logs").exists()


def json_numbers(world):
    record = json.loads((world.out / "submitit" / "jobs.json").read_text())
    return [int(number) for number in record["jobs"].values()]


def test_what_is_finished_is_not_submitted(world, submit, slurm):
    world.finish(UNET)
    world.evaluate(UNET, dice=[0.5] * 10)
    assert submit("table3", "--rows", UNET) == {}


def test_nothing_is_submitted_while_jobs_are_open(world, submit, slurm):
    submit("table3", "--rows", UNET, "--folds", "0")
    slurm.queue([1, 2, 3])
    error = submit("table3", "--rows", UNET, "--folds", "0", rc=2)
    assert "have not ended" in error and error.count("\n") == 1


def test_slurms_options_without_a_submission(world, capsys):
    assert main(["reproduce", "table3", "--slurm", "time=5", "-o", str(world.out)]) == 2
    assert "--slurm goes with --submit slurm" in capsys.readouterr().err
