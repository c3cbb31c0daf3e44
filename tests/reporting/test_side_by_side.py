"""Several systems on the same scans: the overlay's colours, the table, what is refused."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from report_files import make_tiny, masks, write

from nnunetv2_strokesynth.cli import main
from nnunetv2_strokesynth.evaluation.cases import case_files
from nnunetv2_strokesynth.reporting import side_by_side
from nnunetv2_strokesynth.reporting.case_images import CaseFiles
from nnunetv2_strokesynth.reporting.side_by_side import COLOURS, System, overlay


@pytest.fixture
def two_models(tmp_path):
    """The tiny model and one that finds case_2 and case_3 exactly, case_1 not at all."""
    tiny = make_tiny(tmp_path)
    other = tiny.model.with_name("Other__nnUNetPlans__2d")
    shutil.copytree(tiny.model, other)
    for case_id, fold in (("case_2", "0"), ("case_3", "1")):
        write(masks()[case_id][0], other / f"fold_{fold}" / "validation" / f"{case_id}.nii.gz")
    nothing = np.zeros_like(masks()["case_1"][0])
    write(nothing, other / "fold_0" / "validation" / "case_1.nii.gz")
    return tiny, other


def _report(tiny, models, *more):
    words = ["report", "-m", *models, "--raw", tiny.raw, "-o", tiny.root / "two.html", *more]
    return main([str(word) for word in (*words, "--workers", 1)])


def test_overlay_by_hand():
    gt, pred = np.array([[True, True, False, False]]), np.array([[True, False, True, False]])
    found, in_vain, missed = (to_rgb(colour) for colour in COLOURS.values())
    image = overlay(gt, pred)[0]
    np.testing.assert_allclose(image[:3, :3], [found, missed, in_vain])
    assert (image[:3, 3] > 0).all() and (image[3] == 0).all()


def test_two_models_in_one_report(two_models):
    tiny, other = two_models
    assert _report(tiny, (tiny.model, other), "--names", "first", "second") == 0
    html = (tiny.root / "two.html").read_text(encoding="utf-8")
    assert "Several systems on the same scans" in html
    section = html.split('<section id="systems">')[1].split("</section>")[0]
    assert "5 cases that all systems predicted" in section
    cells = [row.split("</td>") for row in section.split("<tr>") if "<td>" in row]
    # The name of a system is text, which is wrapped where it is long.
    rows = {
        row[0].split('<td class="text">')[1]: [c.split("<td>")[-1] for c in row] for row in cells
    }
    # Dice of the second: 0 for case_1, 1, 1, 0 for case_4, 2/3. case_1 and case_3 have no distance.
    assert rows["second"][3].startswith(f"{100 * (0 + 1 + 1 + 0 + 2 / 3) / 5:.2f}")
    assert "(1 n.c.)" in rows["first"][4] and "(1 n.c.)" in rows["second"][4]
    assert rows["second"][-2].startswith("20.00")  # a fifth of 1e8 mm, in millions
    assert "Found, in vain and missed: first, second" in section


def test_one_model_has_no_such_section(reported):
    assert "Several systems" not in reported.html


def test_figure_shows_each_system_in_its_own_column(two_models):
    tiny, other = two_models
    truth = case_files(tiny.raw / "labelsTr")
    systems = (System("a", tiny.model), System("b", other))
    found = side_by_side.collect(systems, truth, workers=1)
    assert found.shared == tuple(sorted(set(masks())))
    case = CaseFiles("case_2", truth["case_2"], found.predictions["a"]["case_2"])
    figure = side_by_side.draw_systems(found, [case])
    true, first, second = figure.axes
    assert [axes.get_title() for axes in figure.axes] == ["true lesion", "a", "b"]
    assert first.get_xlabel() == "Dice 85.7 %" and second.get_xlabel() == "Dice 100.0 %"
    shown = [np.asarray(axes.images[-1].get_array()) for axes in (first, second)]
    missed = to_rgb(COLOURS["missed (FN)"])
    counts = [int((np.isclose(image[..., :3], missed).all(-1) & (image[..., 3] > 0)).sum())
              for image in shown]  # fmt: skip
    assert counts == [1, 0] and len(true.images) == 1


def test_what_does_not_fit_together_is_refused(two_models, capsys):
    tiny, other = two_models
    assert _report(tiny, (tiny.model, other), "--names", "one") == 2
    assert "--names has 1 names for 2 models" in capsys.readouterr().err
    assert _report(tiny, (tiny.model, other), "--names", "one", "one") == 2
    assert "different names" in capsys.readouterr().err
    assert _report(tiny, (tiny.model, other), "--pred", tiny.model) == 2
    assert "1 folders for 2 models" in capsys.readouterr().err
    for path in other.glob("fold_*/validation/*.nii.gz"):
        path.rename(path.with_name(f"x{path.name}"))
    assert _report(tiny, (tiny.model, other), "--names", "one", "two") == 2
    assert "share no case" in capsys.readouterr().err
    (other / "plans.json").unlink()
    assert _report(tiny, (tiny.model, other)) == 2
    assert "no trained nnU-Net model" in capsys.readouterr().err
    assert json.loads((tiny.model / "dataset.json").read_text())  # the first is as it was
