"""The options of a trained model."""

import argparse
import logging

import pytest

from nnunetv2_strokesynth.commands.model_options import add_model_options, model_options


@pytest.mark.parametrize("there", [True, False])
def test_cpu_takes_the_place_of_a_missing_card(monkeypatch, caplog, there):
    caplog.set_level(logging.INFO)
    monkeypatch.setattr("torch.cuda.is_available", lambda: there)
    parser = argparse.ArgumentParser()
    add_model_options(parser)
    options = model_options(parser.parse_args(["-m", "model"]))
    assert options["device"].type == ("cuda" if there else "cpu")
    assert ("the CPU is used" in caplog.text) != there
    caplog.clear()
    assert model_options(parser.parse_args(["-m", "m", "-device", "cpu"]))["device"].type == "cpu"
    assert not caplog.text
