"""Papers and product stand apart: what a trainer inherits, and from whom."""

import inspect

import numpy as np
import pytest
from nnunetv2.training.loss.deep_supervision import DeepSupervisionWrapper
from trainer_world import initialised, make_trainer, quiet

from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.papers.shared.paper_trainer import PaperTrainer
from nnunetv2_strokesynth.papers.song2018.trainers import Song2018Trainer
from nnunetv2_strokesynth.papers.wang2020.trainer import StrokeSynthTrainer_Wang2020
from nnunetv2_strokesynth.trainers.limited_rotation import LimitedRotation
from nnunetv2_strokesynth.trainers.own_normalization import FixedIntensities, OwnNormalization
from nnunetv2_strokesynth.trainers.planned_synthesis import PlannedSynthesisTrainer
from nnunetv2_strokesynth.trainers.stock import StrokeSynthTrainer_Stock
from nnunetv2_strokesynth.trainers.stroke_trainer import StrokeTrainer
from nnunetv2_strokesynth.trainers.strokesynth import StrokeSynthTrainer_Tuned
from nnunetv2_strokesynth.trainers.synthesis_trainer import SynthesisTrainer
from nnunetv2_strokesynth.trainers.threshold_calibration import ThresholdCalibration

MIXINS = (LimitedRotation, ThresholdCalibration, FixedIntensities)
TRAINERS = [value for value in vars(strokesynth_trainers).values() if inspect.isclass(value)]
OF_PAPERS = [cls for cls in TRAINERS if ".papers." in cls.__module__]
OF_PRODUCT = [cls for cls in TRAINERS if issubclass(cls, PlannedSynthesisTrainer)]


def test_every_trainer_belongs_to_a_paper_or_to_the_product_or_is_nnunets_own():
    assert {*OF_PAPERS, *OF_PRODUCT, StrokeSynthTrainer_Stock} == set(TRAINERS)
    assert len(OF_PAPERS) == 115 and len(OF_PRODUCT) == 5


@pytest.mark.parametrize("cls", OF_PAPERS)
def test_a_papers_trainer_inherits_nothing_of_the_product(cls):
    assert issubclass(cls, PaperTrainer)
    assert not set(cls.__mro__) & {PlannedSynthesisTrainer, *MIXINS}


@pytest.mark.parametrize("cls", [cls for cls in TRAINERS if issubclass(cls, SynthesisTrainer)])
def test_every_trainer_that_reads_the_frames_reads_them_as_one_volume(cls):
    assert issubclass(cls, OwnNormalization)


@pytest.mark.parametrize("cls", OF_PAPERS)
def test_a_papers_trainer_inherits_nothing_of_another_paper(cls):
    papers = {
        base.__module__.split(".")[2] for base in cls.__mro__ if ".papers." in base.__module__
    }
    assert len(papers - {"shared"}) == 1


@pytest.mark.parametrize("cls", OF_PRODUCT)
def test_of_the_products_trainers_one_has_the_optional_behaviours_and_none_is_a_papers(cls):
    expected = set(MIXINS) if cls is StrokeSynthTrainer_Tuned else set()
    assert set(MIXINS) & set(cls.__mro__) == expected
    assert not [base for base in cls.__mro__ if ".papers." in base.__module__]


def test_mixins_act_before_the_trainer_that_they_are_added_to():
    order = StrokeSynthTrainer_Tuned.__mro__
    assert [cls for cls in order if cls in MIXINS] == list(MIXINS)
    assert max(order.index(cls) for cls in MIXINS) < order.index(SynthesisTrainer)


def test_wangs_and_songs_trainers_are_siblings():
    for one, other in (
        (StrokeSynthTrainer_Wang2020, Song2018Trainer),
        (Song2018Trainer, StrokeSynthTrainer_Wang2020),
    ):
        assert issubclass(one, SynthesisTrainer) and not issubclass(one, other)
        assert one.__bases__ == other.__bases__


@pytest.mark.parametrize("cls", [cls for cls in TRAINERS if issubclass(cls, ThresholdCalibration)])
def test_the_threshold_is_calibrated_in_the_layer_that_makes_the_logits(cls, nnunet_variables):
    """Whatever base a mixin is joined to: it acts before the base's methods."""
    trainer = initialised(make_trainer(cls))
    layer = trainer._last_layer()
    assert layer is trainer.unwrapped_network.segmenter.decoder.seg_layers[-1]
    assert layer.out_channels == 2


def test_stock_is_nnunets_trainer():
    assert not issubclass(StrokeSynthTrainer_Stock, (StrokeTrainer, *MIXINS))


class StockWithAll(*MIXINS, StrokeSynthTrainer_Stock):
    """Mixins work on nnU-Net's own trainer, too."""

    preset = "wang2020"


def test_mixins_work_on_nnunets_own_trainer(nnunet_variables):
    trainer = make_trainer(StockWithAll)
    assert trainer.configuration_manager.normalization_schemes[4] == "CTNormalization"  # Tmax
    with quiet():
        rotation, _, _, axes = trainer.configure_rotation_dummyDA_mirroring_and_inital_patch_size()
    assert rotation[1] == pytest.approx(np.deg2rad(30)) and axes == (1,)
    initialised(trainer)
    assert trainer._last_layer() is trainer.unwrapped_network.decoder.seg_layers[-1]
    assert isinstance(trainer.loss, DeepSupervisionWrapper)
