"""What our trainers ask of a data set before they learn from it."""

import shutil

import nibabel
import numpy as np
import pytest
import torch
from nnunetv2.run.run_training import get_trainer_from_args


@pytest.mark.parametrize("name", ["StrokeSynthTrainer", "StrokeSynthTrainer_Stock"])
def test_a_case_in_another_order_of_axes_stops_the_training(
    pipeline, nnunet_folders, tmp_path, monkeypatch, name
):
    folder = tmp_path / "raw" / pipeline.raw.name
    shutil.copytree(pipeline.raw, folder)
    monkeypatch.setenv("nnUNet_raw", str(folder.parent))
    monkeypatch.setenv("nnUNet_results", str(tmp_path / "results"))
    for path in folder.glob("*Tr/case_002*"):
        turned = nibabel.load(path).as_reoriented(np.array([[0, 1], [1, -1], [2, 1]]))
        nibabel.save(nibabel.Nifti1Image(np.asarray(turned.dataobj), turned.affine), path)
    trainer = get_trainer_from_args("18", "2d", 0, name, device=torch.device("cpu"))
    with pytest.raises(ValueError, match=r"1 LAS \(case_002\)"):
        trainer.get_tr_and_val_datasets()
