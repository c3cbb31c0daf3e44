"""Jobs on submitit's local executor, and what is handed to SLURM (a stand-in for its programs)."""

from __future__ import annotations

import json
import pickle
import sys

import pytest

from nnunetv2_strokesynth.reproduction.job_run import JobRun
from nnunetv2_strokesynth.reproduction.steps import Job, Step
from nnunetv2_strokesynth.reproduction.submission import (
    LOCAL,
    SLURM,
    check_submission,
    submit,
)

pytest.importorskip("submitit")


def shell(name, line):
    return Step(name, ["bash", "-c", line], {})


def test_local_jobs_run_in_order_and_what_waits_for_a_failure_does_not(tmp_path, monkeypatch):
    monkeypatch.setenv("nnUNet_raw", "the raw folder")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    said = tmp_path / "said"
    first = [shell("one", f"echo $nnUNet_raw $CUDA_VISIBLE_DEVICES >> {said}"),
             shell("two", f"echo two >> {said}; echo printed")]  # fmt: skip
    jobs = [
        Job("good", first, []),
        Job("bad", [shell("broken", "echo no such scan; exit 4")], []),
        Job("after", [shell("never", f"echo never >> {said}")], ["good", "bad"]),
        Job("table", [shell("end", f"echo end >> {said}")], ["after", "bad"], anyway=True),
    ]
    with pytest.raises(ValueError, match=r"2 of 4 jobs failed; bad: .*no such scan.*broken\.txt"):
        submit(jobs, tmp_path, cluster=LOCAL, words=[])
    assert said.read_text() == "the raw folder 3\ntwo\nend\n"
    assert (tmp_path / "logs" / "two.txt").read_text() == "printed\n"
    record = json.loads((tmp_path / "submitit" / "jobs.json").read_text())
    assert set(record["jobs"]) == {"good", "bad", "table"}
    for number in record["jobs"].values():
        assert (tmp_path / "submitit" / f"{number}_0_log.out").is_file()


def test_a_job_that_runs_again_leaves_out_what_it_has_finished(tmp_path, monkeypatch):
    said = tmp_path / "said"
    line = f"echo two >> {said}; test -e {tmp_path}/may_pass"
    job = Job("fold", [shell("one", f"echo one >> {said}"), shell("two", line)], [])
    run = JobRun(job, tmp_path / "logs", {})
    with pytest.raises(ValueError, match="exit code 1"):
        run()
    (tmp_path / "may_pass").touch()
    again = pickle.loads(pickle.dumps(run.checkpoint()))  # as submitit does
    again.function()
    assert said.read_text() == "one\ntwo\ntwo\n"


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ("nnUNetv2_train 18 2d 0", "nnUNetv2_train 18 2d 0 --c"),
        ("nnUNetv2_train 18 2d 0 --c", "nnUNetv2_train 18 2d 0 --c"),
        ("nnUNetv2_train 18 2d 0 --val", "nnUNetv2_train 18 2d 0 --val"),
        ("strokesynth tune", "strokesynth tune"),
    ],
)
def test_trainings_go_on_where_they_were_cut_off(tmp_path, command, runs):
    run = JobRun(Job("j", [Step("s", command.split(), {})], []), tmp_path, {})
    assert [step.command for step in run.steps] == [runs.split()]


OPTIONS = ["time=1440", "partition=gpu", "gres=gpu:1", "cpus-per-task=12", "mem=48G"]


def test_slurm_gets_options_dependencies_and_names(tmp_path, slurm):
    step = [shell("s", "true")]
    jobs = [
        Job("fold_0", step, []),
        Job("fold_1", step, []),
        Job("measure", step, ["fold_0", "fold_1"]),
        Job("table", step, ["measure"], anyway=True),
    ]
    assert submit(jobs, tmp_path, cluster=SLURM, words=OPTIONS) == {
        "fold_0": "1", "fold_1": "2", "measure": "3", "table": "4"
    }  # fmt: skip
    found = slurm.batches()
    assert list(found) == ["fold_0", "fold_1", "measure", "table"]
    for options in found.values():
        assert options["time"] == "1440" and options["gres"] == "gpu:1"
        assert options["partition"] == "gpu" and options["mem"] == "48G"
        assert options["cpus-per-task"] == "12"
    assert "dependency" not in found["fold_0"] and "dependency" not in found["fold_1"]
    assert found["measure"]["dependency"] == "afterok:1:2"
    assert found["measure"]["kill-on-invalid-dep"] == "yes"
    assert found["table"]["dependency"] == "afterany:3"


def test_jobs_are_not_submitted_twice(tmp_path, slurm):
    submit([Job("fold_0", [], []), Job("fold_1", [], [])], tmp_path, cluster=SLURM, words=OPTIONS)
    slurm.queue([2])
    with pytest.raises(ValueError, match=r"have not ended: fold_1 .*scancel 2`"):
        check_submission(SLURM, OPTIONS, tmp_path)
    slurm.queue([])
    check_submission(SLURM, OPTIONS, tmp_path)


def test_the_number_of_a_local_job_is_none_of_slurms(tmp_path, slurm):
    submit([Job("fold_0", [], [])], tmp_path, cluster=LOCAL, words=[])
    numbers = json.loads((tmp_path / "submitit" / "jobs.json").read_text())["jobs"]
    slurm.queue([int(numbers["fold_0"])])  # of another user
    check_submission(SLURM, OPTIONS, tmp_path)


def test_what_slurm_refuses_is_one_line(tmp_path, slurm):
    slurm.refuse()
    with pytest.raises(ValueError, match=r"sbatch refused a job: .*invalid partition"):
        submit([Job("fold_0", [], [])], tmp_path, cluster=SLURM, words=OPTIONS)


@pytest.mark.parametrize(
    ("cluster", "words", "said"),
    [
        (SLURM, [], "give a job's time limit in minutes"),
        (SLURM, ["time=24:00:00"], "give a job's time limit in minutes"),
        (SLURM, ["gpu"], "--slurm gpu: expected NAME=VALUE"),
        (SLURM, ["time=5", "partition="], "--slurm partition=: expected"),
        (LOCAL, ["time=5"], "--slurm goes with --submit slurm"),
    ],
)
def test_options_that_cannot_be_used(tmp_path, slurm, cluster, words, said):
    with pytest.raises(ValueError, match=said):
        check_submission(cluster, words, tmp_path)


def test_without_slurm_or_without_submitit(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ValueError, match="there is no sbatch on this machine"):
        check_submission(SLURM, OPTIONS, tmp_path)
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ValueError, match=r"pip install 'nnunetv2_strokesynth\[cluster\]'"):
        check_submission(LOCAL, [], tmp_path)
