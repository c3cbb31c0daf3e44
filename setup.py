"""What pyproject.toml cannot say: where the packages lie, and the file that nnU-Net needs.

``dataset_conversion/`` lies beside ``nnunetv2_strokesynth/``, where users of nnU-Net look for it,
and is installed as ``nnunetv2_strokesynth.dataset_conversion``.

nnU-Net (2.8.0 and later) looks for trainers outside itself in the folders named by the environment
variable ``nnUNet_extTrainer``. So that ``nnUNetv2_train 18 2d 0 -tr StrokeSynthTrainer`` works
right after ``pip install .``, the wheel carries ``nnunetv2_strokesynth.pth``: Python runs its
single line at start-up, which appends our folder to that variable and keeps whatever the user has
set. ``pip uninstall`` removes it. An editable install does not ship the file; there, ``export
nnUNet_extTrainer="$(strokesynth trainers-dir)"``.
"""

from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

PACKAGE, CONVERSION = "nnunetv2_strokesynth", "nnunetv2_strokesynth.dataset_conversion"
PTH_NAME = "nnunetv2_strokesynth.pth"
# `sitedir` is the local variable of `site.addpackage`, which executes this line: the folder the
# file lies in.
PTH_LINE = (
    "import os; _d = os.path.join(sitedir, 'nnunetv2_strokesynth', 'nnunet_ext'); "
    "_v = os.environ.get('nnUNet_extTrainer', ''); "
    "os.path.isdir(_d) and _d not in _v.split(os.pathsep) and "
    "os.environ.__setitem__('nnUNet_extTrainer', os.pathsep.join(filter(None, (_v, _d))))\n"
)


class BuildPyWithTrainerPath(build_py):
    """``build_py`` that also writes the start-up file into the wheel's root."""

    def run(self):
        super().run()
        if not self.editable_mode:
            self.mkpath(self.build_lib)
            (Path(self.build_lib) / PTH_NAME).write_text(PTH_LINE, encoding="utf-8")

    def get_outputs(self, include_bytecode=1):
        outputs = super().get_outputs(include_bytecode)
        return outputs if self.editable_mode else [*outputs, str(Path(self.build_lib) / PTH_NAME)]


setup(
    packages=[
        *find_packages(include=[PACKAGE, f"{PACKAGE}.*"], exclude=[CONVERSION, f"{CONVERSION}.*"]),
        CONVERSION,
        *(f"{CONVERSION}.{name}" for name in find_packages("dataset_conversion")),
    ],
    package_dir={CONVERSION: "dataset_conversion"},
    cmdclass={"build_py": BuildPyWithTrainerPath},
)
