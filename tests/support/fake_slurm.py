"""Programs called sbatch, srun and squeue, in front of the PATH, that only write down."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

_SBATCH = """#!/bin/bash
n=$(($(ls {folder} | grep -c batch_) + 1))
if [ -e {folder}/refuse ]; then echo 'sbatch: error: invalid partition' >&2; exit 1; fi
cp "$1" {folder}/batch_$n.sh
echo "Submitted batch job $n"
"""


class FakeSlurm:
    """What was submitted, and what ``squeue`` answers."""

    def __init__(self, folder: Path):
        self.folder = folder
        programs = folder / "bin"
        programs.mkdir(parents=True)
        texts = {"sbatch": _SBATCH.format(folder=folder), "srun": "#!/bin/bash\n",
                 "squeue": f"#!/bin/bash\ncat {folder}/queue\n"}  # fmt: skip
        for name, text in texts.items():
            (programs / name).write_text(text)
            (programs / name).chmod(0o755)
        self.queue([])

    def queue(self, numbers: list[int]) -> None:
        (self.folder / "queue").write_text("".join(f"{number}\n" for number in numbers))

    def refuse(self) -> None:
        (self.folder / "refuse").touch()

    def batches(self) -> dict[str, dict[str, str]]:
        """The options of each batch file, by the job's name, in the order of submission."""
        paths = sorted(self.folder.glob("batch_*.sh"), key=lambda path: int(path.stem[6:]))
        found = [
            dict(re.findall(r"^#SBATCH --([\w-]+)=(.*)$", path.read_text(), re.MULTILINE))
            for path in paths
        ]
        return {options["job-name"]: options for options in found}


@pytest.fixture
def slurm(tmp_path, monkeypatch) -> FakeSlurm:
    made = FakeSlurm(tmp_path / "slurm")
    path = f"{made.folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)
    return made
