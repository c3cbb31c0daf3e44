"""What is gone from the raw data set is never used, and leaves our folders; nnU-Net's stay."""

import json
import random

import pytest

from nnunetv2_strokesynth.dataloading.raw_cases import raw_cases
from nnunetv2_strokesynth.dataloading.withdrawal import check_split, find_withdrawn, leaving_out

CASES = [f"case_{number:03d}" for number in range(8)]
DATASET = {"file_ending": ".nii.gz", "channel_names": {"0": "CT", "1": "CBF"}}
NNUNETS, PHYSICAL = "nnUNetPlans_2d", "nnUNetPlans_2d_physical"
TARGETS = (f"{NNUNETS}_targets", f"{PHYSICAL}_targets")


class World:
    """A raw data set, everything that is made of it, and the ways in which something is withdrawn.

    The files hold a few bytes: nobody reads them.
    """

    def __init__(self, root):
        self.raw, self.preprocessed = root / "raw", root / "preprocessed"
        self.validation = root / "fold_0" / "validation"
        self.there, self.with_dwi = set(CASES), set(CASES)
        for case_id in CASES:
            self._make(case_id)
        splits = [{"train": CASES[2:], "val": CASES[:2]}, {"train": CASES[:4], "val": CASES[4:]}]
        self.splits = splits
        self.write_splits()

    def _make(self, case_id):
        raw = [f"imagesTr/{case_id}_{channel:04d}" for channel in (0, 1)]
        raw += [f"labelsTr/{case_id}", f"targetsTr/{case_id}"]
        made = [f"gt_segmentations/{case_id}.nii.gz", f"{PHYSICAL}/made_from/{case_id}.json"]
        for folder in (NNUNETS, PHYSICAL):
            made += [f"{folder}/{case_id}{end}" for end in (".b2nd", "_seg.b2nd", ".pkl")]
        for folder in TARGETS:
            made += [f"{folder}/{case_id}{end}" for end in (".b2nd", ".json")]
        for path in [self.raw / f"{name}.nii.gz" for name in raw] + [
            self.preprocessed / name for name in made
        ]:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(f"{case_id} {path.name}")

    def write_splits(self):
        self.preprocessed.mkdir(exist_ok=True)
        (self.preprocessed / "splits_final.json").write_text(json.dumps(self.splits))

    def case(self, case_id):
        """All files of a case are withdrawn."""
        self.images(case_id)
        for kind in ("labelsTr", "targetsTr"):
            (self.raw / kind / f"{case_id}.nii.gz").unlink(missing_ok=True)

    def images(self, case_id):
        """Only the images: label and DWI were forgotten."""
        self.there.discard(case_id)
        for path in (self.raw / "imagesTr").glob(f"{case_id}_*"):
            path.unlink()

    def one_channel(self, case_id):
        self.there.discard(case_id)
        (self.raw / "imagesTr" / f"{case_id}_0001.nii.gz").unlink(missing_ok=True)

    def label(self, case_id):
        self.there.discard(case_id)
        (self.raw / "labelsTr" / f"{case_id}.nii.gz").unlink(missing_ok=True)

    def dwi(self, case_id):
        self.with_dwi.discard(case_id)
        (self.raw / "targetsTr" / f"{case_id}.nii.gz").unlink(missing_ok=True)

    def all_dwis(self, _):
        for case_id in CASES:
            self.dwi(case_id)
        (self.raw / "targetsTr").exists() and (self.raw / "targetsTr").rmdir()

    def replaced(self, case_id):
        """Other voxels: nothing is withdrawn; the records decide what is made again."""
        for path in (self.raw / "imagesTr").glob(f"{case_id}_*"):
            path.write_text("other voxels")

    def cut_off(self, case_id):
        """A kill left half a case, without a record."""
        (self.preprocessed / PHYSICAL / "made_from" / f"{case_id}.json").unlink(missing_ok=True)

    def find(self):
        return find_withdrawn(raw_cases(self.raw, DATASET), self.preprocessed, self.validation)

    def files(self, *folders):
        return {
            path: path.read_text()
            for folder in folders
            for path in (self.preprocessed / folder).rglob("*")
            if path.is_file()
        }


KINDS = ("case", "images", "one_channel", "label", "dwi", "all_dwis", "replaced", "cut_off")


@pytest.fixture
def world(tmp_path):
    return World(tmp_path)


def _case_of(path):
    return path.name.split(".")[0].removesuffix("_seg")


@pytest.mark.parametrize("seed", range(40))
def test_whatever_is_withdrawn_in_whatever_order_is_left_out_removed_and_named(world, seed):
    """The property: after any history, what is used is a part of what the raw data set holds."""
    rng = random.Random(seed)
    nnunets = world.files(NNUNETS, "gt_segmentations")
    before = world.files(PHYSICAL, *TARGETS)
    named = set()
    for _ in range(rng.randint(1, 4)):
        kind, case_id = rng.choice(KINDS), rng.choice(CASES[1:])  # the first one stays
        getattr(world, kind)(case_id)
        if rng.random() < 0.5:  # a training between two withdrawals
            named |= set(world.find().dwis)
    found = world.find()
    named |= set(found.dwis)

    gone = set(CASES) - world.there
    assert set(found.cases) == gone
    log = " ".join(found.sentences())
    assert all(f"{case_id} (" in log for case_id in gone)
    assert bool(gone) == (f"{len(gone)} cases are gone from {world.raw}" in log)
    assert named - gone == set(CASES) - world.with_dwi - gone
    after = world.files(PHYSICAL, *TARGETS)
    for path, content in before.items():
        is_target = path.parent.name in TARGETS
        case_id = _case_of(path)
        stays = case_id in world.there and (not is_target or case_id in world.with_dwi)
        was_cut_off = stays and path.parent.name == "made_from" and path not in after
        assert after.get(path) == (content if stays else None) or was_cut_off
    assert world.files(NNUNETS, "gt_segmentations") == nnunets
    assert world.find()._replace(dwis=[]) == found._replace(cleaned=[], dwis=[])

    class Folder:
        @staticmethod
        def get_identifiers(_):
            return list(CASES)

    assert set(leaving_out(Folder, found.cases).get_identifiers("")) == world.there
    for fold, split in enumerate(world.splits):
        _check_names(world, fold, {part: set(split[part]) & gone for part in ("train", "val")})


def _check_names(world, fold, missing):
    """The split's check names each missing case with its part, the file and the fold."""
    splits_file, folder = world.preprocessed / "splits_final.json", world.preprocessed / NNUNETS

    def check():
        raw = raw_cases(world.raw, DATASET)
        check_split(splits_file, fold, raw=raw, folder=folder, held=CASES)

    if not any(missing.values()):
        check()
        return
    with pytest.raises(ValueError) as error:
        check()
    message = str(error.value)
    assert f"fold {fold} of {splits_file} names" in message
    assert f"{world.raw / 'splits_final.json'}" in message and "--overwrite" in message
    for part, case_ids in missing.items():
        assert all(f"{case_id} ({part}; no" in message or " of 2 images" in message
                   for case_id in case_ids)  # fmt: skip
        assert all(case_id in message for case_id in case_ids)


def test_what_the_raw_data_set_lacks_is_said_case_by_case(world):
    for kind, case_id in zip(("case", "one_channel", "label", "images"), CASES[1:], strict=False):
        getattr(world, kind)(case_id)
    found = world.find()
    assert list(found.cases.values()) == ["no images", "1 of 2 images", "no label", "no images"]
    assert (
        "labelsTr/case_004.nii.gz" in found.in_raw and "targetsTr/case_004.nii.gz" in found.in_raw
    )
    assert "targetsTr/case_003.nii.gz" in found.in_raw
    assert not [name for name in found.in_raw if "case_001" in name]
    log = found.sentences()
    four = ", ".join(CASES[1:5])
    assert any(f"gt_segmentations ({four}), {NNUNETS} ({four})" in line for line in log)
    assert any("plan and preprocess again" in line for line in log)


def test_earlier_predictions_of_a_withdrawn_case_are_named(world):
    world.validation.mkdir(parents=True)
    for case_id in CASES[:2]:
        (world.validation / f"{case_id}.nii.gz").write_text("prediction")
    world.case(CASES[1])
    found = world.find()
    assert found.predicted == [world.validation / f"{CASES[1]}.nii.gz"]
    assert found.predicted[0].is_file() and str(found.predicted[0]) in " ".join(found.sentences())


def test_nothing_withdrawn_nothing_said(world):
    found = world.find()
    assert found.sentences() == [] and not found.cases


def test_an_empty_raw_folder_is_no_withdrawal_of_everything(world):
    """As when a disk is not mounted."""
    before = world.files(PHYSICAL, *TARGETS)
    for case_id in CASES:
        world.images(case_id)
    with pytest.raises(ValueError, match="holds no case with images and a label.*mounted"):
        world.find()
    assert world.files(PHYSICAL, *TARGETS) == before


def test_raw_data_without_images_are_not_at_hand(world):
    assert raw_cases(None, DATASET) is None
    for path in (world.raw / "imagesTr").iterdir():
        path.unlink()
    (world.raw / "imagesTr").rmdir()
    assert raw_cases(world.raw, DATASET) is None


def test_files_that_dataset_json_lists_are_followed(world):
    """nnU-Net's other way to describe a data set: images anywhere."""
    listed = {
        case_id: {
            "images": [f"imagesTr/{case_id}_{channel:04d}.nii.gz" for channel in (0, 1)],
            "label": f"labelsTr/{case_id}.nii.gz",
        }
        for case_id in CASES
    }
    world.one_channel("case_001")
    del listed["case_002"]
    (world.raw / "dataset.json").write_text(json.dumps({"dataset": listed}))
    assert set(world.find().cases) == {"case_001", "case_002"}
    (world.raw / "dataset.json").write_text("torn")
    with pytest.raises(ValueError, match="dataset.json cannot be read"):
        world.find()


@pytest.mark.parametrize("name", TARGETS)
def test_a_folder_of_nnunets_with_such_a_name_is_not_ours(world, name):
    """Plans may have any name, and their preprocessed folders are named after them."""
    for case_id in CASES:
        (world.preprocessed / name / f"{case_id}.pkl").write_text("a case of nnU-Net's")
    before = world.files(name)
    world.case("case_001")
    assert world.preprocessed / name in world.find().in_preprocessed
    assert world.files(name) == before


def test_without_raw_data_the_split_is_checked_against_what_was_preprocessed(world):
    splits_file, folder = world.preprocessed / "splits_final.json", world.preprocessed / NNUNETS
    rest = {"raw": None, "folder": folder}
    check_split(splits_file, 0, held=CASES, **rest)
    with pytest.raises(ValueError, match=rf"fold 0 of .*case_000 \(val; not in {folder}\)"):
        check_split(splits_file, 0, held=CASES[1:], **rest)
    for fold in ("all", 7):  # nnU-Net draws these from what is there
        check_split(splits_file, fold, held=[], **rest)
    check_split(splits_file.with_name("none.json"), 0, held=[], **rest)


@pytest.mark.parametrize("content", [
    "torn", '[{"train": []}]', "[3]", "3", '[{"train": [["a"]], "val": []}]',
    '[{"train": 3, "val": []}]', "[" * 50_000,
])  # fmt: skip
def test_a_damaged_split_is_named(world, content):
    path = world.preprocessed / "splits_final.json"
    path.write_text(content)
    with pytest.raises(ValueError, match="splits_final.json.*expected a list"):
        check_split(path, 0, raw=None, folder=world.preprocessed, held=CASES)
