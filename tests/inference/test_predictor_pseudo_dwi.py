"""What a pseudo-DWI is: in a model's plans, beside its images, on a patient's result."""

from types import SimpleNamespace

import numpy as np
import pytest

from nnunetv2_strokesynth.dataloading.pseudo_dwi_record import (
    PLANS_KEY,
    PseudoDwiRecord,
    read_record,
    write_record,
)
from nnunetv2_strokesynth.inference import patient, synthesis
from nnunetv2_strokesynth.inference.lesion import Predicted
from nnunetv2_strokesynth.inference.predictor import learned_from_dwi, pseudo_dwi_record


def loaded(record, trainer="StrokeSynthTrainer", generator=True):
    """A loaded predictor whose plans hold a record, or none."""
    configuration = {} if record is None else {PLANS_KEY: record._asdict()}
    return SimpleNamespace(
        trainer_name=trainer,
        configuration_manager=SimpleNamespace(configuration=configuration),
        network=SimpleNamespace(
            generator=object() if generator else None, outputs=("pseudo_dwi", "feature")
        ),
        dataset_json={"file_ending": ".nii.gz"},
    )


@pytest.mark.parametrize("scale", ["paper", "brain"])
@pytest.mark.parametrize("learned", ["DWI", "blurred lesion", "nothing"])
def test_a_record_goes_through_plans_and_file(tmp_path, scale, learned):
    record = PseudoDwiRecord.now(scale, learned)
    assert pseudo_dwi_record(loaded(record)) == record
    write_record(tmp_path, record)
    assert read_record(tmp_path) == record
    assert bool(record.caution) == (learned != "DWI")
    assert learned_from_dwi(loaded(record)) == (learned == "DWI")
    assert not learned_from_dwi(loaded(record, generator=False))


def test_a_model_older_than_the_record_is_known_by_its_trainer(tmp_path):
    assert pseudo_dwi_record(loaded(None)) == ("paper", 0, "DWI")
    assert learned_from_dwi(loaded(None))
    surrogate = loaded(None, trainer="StrokeSynthTrainer_Surrogate")
    assert pseudo_dwi_record(surrogate).learned == "nothing"
    assert read_record(tmp_path) == PseudoDwiRecord()


@pytest.mark.parametrize("text", ['{"scale": "median"}', '{"unit": 1}', "[]", "{", '"paper"'])
def test_a_damaged_record_is_named(tmp_path, text):
    (tmp_path / "pseudo_dwi.json").write_text(text)
    with pytest.raises(ValueError, match=r"pseudo_dwi\.json"):
        read_record(tmp_path)


@pytest.mark.parametrize("learned", ["DWI", "nothing"])
def test_a_patient_gets_no_pseudo_dwi_of_a_model_that_learned_none(monkeypatch, learned):
    image = np.zeros((1, 2, 2), np.float32)

    def predict_lesion(*_, folds, with_pseudo_dwi):
        return Predicted(image > 0, image, {}, image + 0.5 if with_pseudo_dwi else None)

    monkeypatch.setattr(patient, "predict_lesion", predict_lesion)
    predictor = loaded(PseudoDwiRecord.now("brain", learned))
    found = patient.predict_patient(predictor, image[None], (5.0, 1.0, 1.0))
    if learned == "DWI":
        assert found.pseudo_dwi.max() == 0.5 and not found.caution
        assert found.record.window == (0.0, 1.0)
    else:
        assert found.pseudo_dwi is None and "learned from no DWI" in found.caution
    without = loaded(None, generator=False)
    found = patient.predict_patient(without, image[None], (5.0, 1.0, 1.0))
    assert found.pseudo_dwi is None and not found.caution  # one network: nothing to explain


def test_synthesize_says_so_and_writes_it_beside_the_images(monkeypatch, tmp_path, caplog):
    monkeypatch.setattr(synthesis, "_find_scans", lambda *_: {})
    record = PseudoDwiRecord.now("brain", "nothing")
    synthesis.synthesize_folder(loaded(record), tmp_path, tmp_path / "out")
    assert read_record(tmp_path / "out") == record
    assert "no pseudo-DWI" in caplog.text
