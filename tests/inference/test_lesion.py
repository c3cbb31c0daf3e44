"""The logits of each fold, while nnU-Net averages them in place."""

import pytest
import torch

from nnunetv2_strokesynth.inference.lesion import _kept_logits, _named


class Averaging:
    """Averages as nnU-Net's predictor does: it adds to the first fold's tensor."""

    def __init__(self, n_folds):
        self.list_of_parameters = list(range(n_folds))
        self._next = iter(range(1, n_folds + 1))

    def predict_sliding_window_return_logits(self, data):
        return data * next(self._next)

    def predict(self, data):
        total = self.predict_sliding_window_return_logits(data)
        for _ in self.list_of_parameters[1:]:
            total += self.predict_sliding_window_return_logits(data)
        return total / len(self.list_of_parameters)


def test_each_fold_is_kept_as_it_was():
    predictor = Averaging(3)
    with _kept_logits(predictor) as kept:
        mean = predictor.predict(torch.ones(2))
    assert [float(logits[0]) for logits in kept] == [1.0, 2.0, 3.0] and float(mean[0]) == 2.0
    assert "predict_sliding_window_return_logits" not in vars(predictor)


def test_a_single_network_is_not_kept():
    predictor = Averaging(1)
    with _kept_logits(predictor) as kept:
        predictor.predict(torch.ones(2))
    assert kept == []


@pytest.mark.parametrize("n_folds", [1, 2, 3])
@pytest.mark.parametrize("named", [True, False])
def test_logits_are_named_by_fold_if_there_are_several(n_folds, named):
    """However many folds a user names by ``-f``, one included."""
    folds = [str(fold) for fold in range(n_folds)] if named else []
    predictor = Averaging(n_folds)
    with _kept_logits(predictor) as kept:
        predictor.predict(torch.ones(2))
    assert list(_named(kept, folds)) == (folds if n_folds > 1 else [])


def test_another_number_of_folds_than_of_networks_is_refused():
    with pytest.raises(ValueError, match="shorter"):
        _named([torch.ones(2)] * 2, ["0", "1", "2"])
