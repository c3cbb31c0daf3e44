"""Weights for the PSPNet's backbone, on a stand-in with two layers and on torchvision's names."""

from collections import OrderedDict

import pytest
import torch
from torch import nn
from torchvision.models import resnet50
from torchvision.models.segmentation import FCN_ResNet50_Weights, fcn_resnet50

from nnunetv2_strokesynth.papers.abulnaga2018.pretrained import load_backbone, weights_file
from nnunetv2_strokesynth.papers.abulnaga2018.pspnet import PSPNet


class Small(nn.Module):
    """A backbone of two layers, and a part that is no backbone."""

    def __init__(self):
        super().__init__()
        layers = [("conv1", nn.Conv2d(3, 4, 3, bias=False)), ("bn1", nn.BatchNorm2d(4))]
        self.backbone = nn.Sequential(OrderedDict(layers))
        self.head = nn.Conv2d(4, 2, 1)


def learned() -> dict[str, torch.Tensor]:
    return {name: value + 1 for name, value in Small().backbone.state_dict().items()}


@pytest.fixture
def file(tmp_path):
    """Called with what to save."""

    def save(content) -> str:
        path = tmp_path / "weights.pth"
        torch.save(content, path)
        return str(path)

    return save


def assert_loaded(network: Small, weights: dict[str, torch.Tensor]) -> None:
    for name, value in network.backbone.state_dict().items():
        assert torch.equal(value, weights[name])


def test_layout_of_an_fcn(file):
    network, weights = Small(), learned()
    head = network.head.weight.clone()
    content = {f"backbone.{name}": value for name, value in weights.items()}
    path = file({**content, "classifier.4.weight": torch.zeros(21, 512, 1, 1)})
    assert str(load_backbone(network, path)) == path
    assert_loaded(network, weights)
    assert torch.equal(network.head.weight, head)


def test_layout_of_a_plain_resnet(file):
    network, weights = Small(), learned()
    load_backbone(network, file({**weights, "fc.weight": torch.zeros(1000, 2048)}))
    assert_loaded(network, weights)


def test_counters_may_be_missing(file):
    network, weights = Small(), learned()
    del weights["bn1.num_batches_tracked"]
    load_backbone(network, file(weights))
    assert_loaded(network, {**weights, "bn1.num_batches_tracked": torch.tensor(0)})


def test_torchvisions_file_in_the_local_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    url = FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1.url
    path = tmp_path / "checkpoints" / url.rsplit("/", 1)[1]
    assert weights_file("torchvision") == path
    network, weights = Small(), learned()
    with pytest.raises(FileNotFoundError, match=str(path)):
        load_backbone(network, "torchvision")
    path.parent.mkdir()
    torch.save({f"backbone.{name}": value for name, value in weights.items()}, path)
    assert load_backbone(network, "torchvision") == path
    assert_loaded(network, weights)


def test_absent_file_says_what_to_do(tmp_path):
    path = tmp_path / "absent.pth"
    with pytest.raises(FileNotFoundError, match=f"{path}.*FCN_ResNet50_Weights.*or unset X") as e:
        load_backbone(Small(), str(path), unset="unset X")
    assert "{" not in str(e.value)


@pytest.mark.parametrize("content", [b"no weights at all", b"", b"PK\x03\x04 half a zip file"])
def test_unreadable_file(tmp_path, content):
    path = tmp_path / "broken.pth"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"{path} cannot be read as PyTorch weights.*or unset X"):
        load_backbone(Small(), str(path), unset="unset X")


def test_a_file_that_would_run_code_is_refused(file):
    with pytest.raises(ValueError, match="cannot be read as PyTorch weights"):
        load_backbone(Small(), file({"conv1.weight": Small()}))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([torch.zeros(3)], "holds a list, not a state_dict"),
        ({0: torch.zeros(3)}, r"expected conv1.weight of shape \(4, 3, 3, 3\), found nothing"),
        ({"conv1.weight": 3}, r"expected conv1.weight of shape \(4, 3, 3, 3\), found nothing"),
        (
            {**learned(), "conv1.weight": torch.zeros(4, 1, 3, 3)},
            r"expected conv1.weight of shape \(4, 3, 3, 3\), found \(4, 1, 3, 3\)",
        ),
        (
            {k: v for k, v in learned().items() if k != "bn1.running_var"},
            r"expected bn1.running_var of shape \(4,\), found nothing",
        ),
    ],
)
def test_other_layouts_are_refused_and_change_nothing(file, content, message):
    network = Small()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    with pytest.raises(ValueError, match=f"weights.pth .*{message}.*FCN_ResNet50_Weights"):
        load_backbone(network, file(content))
    for name, value in network.state_dict().items():
        assert torch.equal(value, before[name])


def test_torchvisions_names_and_shapes_are_the_backbones():
    with torch.device("meta"):
        own = {name: v.shape for name, v in PSPNet().backbone.state_dict().items()}
        fcn = fcn_resnet50(weights=None, weights_backbone=None).state_dict()
        plain = resnet50(weights=None).state_dict()
    assert own == {
        name.removeprefix("backbone."): value.shape
        for name, value in fcn.items()
        if name.startswith("backbone.")
    }
    assert own == {k: v.shape for k, v in plain.items() if not k.startswith("fc.")}
