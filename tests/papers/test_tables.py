"""The papers' tables: complete, with trainers of ours, and with the paper's own values."""

import inspect
import statistics

import pytest

from nnunetv2_strokesynth.evaluation.columns import COLUMN_BY_KEY
from nnunetv2_strokesynth.nnunet_ext import strokesynth_trainers
from nnunetv2_strokesynth.papers.shared.published import PARAMETERS, value_cell
from nnunetv2_strokesynth.papers.shared.staged_trainer import StagedTrainer
from nnunetv2_strokesynth.papers.tables import TABLES, with_further_rows

# Typed from the paper: table, row, column, as printed.
PRINTED = (
    ("table1", "L1", "ssim_global", "0.82 ± 0.11"),
    ("table1", "GAN", "ssim_local", "0.37 ± 0.17"),
    ("table1", "L2 + GAN", "psnr_local_db", "13.22 ± 4.52"),
    ("table1", "w-L2", "psnr_global_db", "19.43 ± 3.42"),
    ("table1", "w-L2 + l_h1", "dice", "51.25 ± 17.43"),
    ("table1", "w-L2 + l_h2", "dice", "51.02 ± 21.41"),
    ("table2", "F_o", "psnr_local_db", "13.20 ± 3.38"),
    ("table2", "F_o, F_l", "dice", "53.94 ± 14.39"),
    ("table2", "F_o, F_l, F_h*", "ssim_local", "0.58 ± 0.16"),
    ("table2", "F_o, F_l, F_h", "psnr_global_db", "20.02 ± 3.51"),
    ("table2", "Real DWI", "dice", "72.17 ± 19.54"),
    ("table2", "Real DWI", "ssim_global", ""),
    ("table3", "FCN", "hausdorff_mm", "48.75 ± 30.83"),
    ("table3", "UNet", "precision", "63.50 ± 22.22"),
    ("table3", "R2UNet", PARAMETERS, "39.09"),
    ("table3", "ResUNet", "assd_mm", "2.22 ± 2.04"),
    ("table3", "SLNet", "recall", "64.20 ± 23.99"),
    ("table3", "SLNet (w/o SE)", "dice", "53.41 ± 14.31"),
    ("table3", "SLNet (w/o SN)", "assd_mm", "2.57 ± 2.78"),
    ("table4", "L_CE", "dice", "54.45 ± 21.23"),
    ("table4", "L_DICE", "recall", "45.45 ± 21.81"),
    ("table4", "L_GD", "hausdorff_mm", "36.87 ± 29.61"),
    ("table4", "L_HGD", "precision", "52.40 ± 20.71"),
    ("table4", "L_CE + L_HGD", "assd_mm", "1.96 ± 1.84"),
    ("table4", "L_WCE + L_HGD", "dice", "59.37 ± 15.73"),
    ("table5", "CTA", "relative_volume_error", "0.73 ± 0.74"),
    ("table5", "F_o", "recall", "73.51 ± 17.48"),
    ("table5", "DWI^o", "dice", "58.32 ± 15.74"),
    ("table5", "DWI^{o,l}", "dice", "60.49 ± 16.26"),
    ("table5", "DWI^{o,l,h}", "dice", "62.11 ± 17.18"),
    ("table5", "DWI^{o,l,h}(s)", "dice", "62.23 ± 15.47"),
    ("table5", "F_o + DWI^{o,l,h}", "hausdorff_mm", "22.42 ± 19.58"),
    ("table5", "Real DWI", "dice", "79.72 ± 15.53"),
    ("table6", "Wang et al. (in the paper: Ours)", "precision", "55 ± 36"),
    ("table6", "Chen et al.", "recall", "46 ± 33"),
    ("song2018", "U-Net + CE", "dice", "53"),
    ("song2018", "AU-Net + CE + GD + G + SDF", "dice", "59"),
    ("song2018", "AU-Net + CE + GD + G + SDF + SN + E", "dice", "61"),
    ("song2018", "AU-Net + CE + GD + G + SDF + SN + E + BN", "dice", "62"),
    ("song2018_test", "AU-Net + CE + GD + G + SDF + SN + E + BN, four networks", "recall",
     "55 ± 34"),
    ("clerigues2019", "Baseline", "dice", "49.0 ± 23.6"),
    ("clerigues2019", "Single + RT", "recall", "66.0 ± 25.5"),
    ("clerigues2019", "Single + RT + SM", "precision", "58.3 ± 29.8"),
    ("clerigues2019", "Single + RT + SM + UF", "hausdorff_mm", "23.5 ± 15.8"),
    ("clerigues2019", "Baseline", "threshold", "0.4"),
    ("clerigues2019", "Single + RT", "min_size_voxels", "300"),
    ("clerigues2019", "Single + RT + SM", "r2", "0.78"),
    ("clerigues2019_test", "Single + RT + SM + UF, five networks", "hausdorff_penalised_mm",
     "11.3 ± 31.6"),
    ("clerigues2019_test", "Single + RT + SM + UF, five networks", "recall", "57 ± 35"),
    ("clerigues2019_test", "zhans10", "precision", "53 ± 35"),
    ("clerigues2019_test", "cheny11", "hausdorff_penalised_mm", "9.7 ± 29.6"),
    ("gomez2023", "U-Net, binary", "dice", "62.4 ± 22.3"),
    ("gomez2023", "U-Net, auxiliary class", "precision", "61.0 ± 24.1"),
    ("gomez2023", "U-Net + CW + DS, binary", "recall", "79.0 ± 17.5"),
    ("gomez2023", "U-Net + CW + DS, auxiliary class", "dice", "64.2 ± 19.9"),
    ("gomez2023", "U-Net + CW + DS + Att, binary", "precision", "65.0 ± 26.4"),
    ("gomez2023", "U-Net + CW + DS + Att, auxiliary class", "recall", "73.1 ± 18.8"),
    ("gomez2023_single", "ADC, U-Net", "dice", "45 ± 16"),
    ("gomez2023_single", "rCBF, U-Net + CW", "dice", "34 ± 24"),
    ("gomez2023_single", "rCBV, U-Net + CW + DS + Att", "dice", "21 ± 22"),
    ("gomez2023_single", "MTT, U-Net + CW + DS + Att", "dice", "36 ± 21"),
    ("gomez2023_single", "TTP, U-Net + CW + DS + Att", "dice", "40 ± 23"),
    ("gomez2023_single", "Tmax, U-Net + CW + DS + Att", "dice", "38 ± 24"),
    ("gomez2023_single", "Tmax, U-Net", "dice", ""),
    ("gomez2023_mri", "ADC + TTP + Tmax, U-Net + CW + DS + Att", "dice", "46 ± 14"),
    ("gomez2023_mri", "all six maps, U-Net + CW + DS + Att", "dice", "42 ± 22"),
    ("gomez2023_mri", "ADC + TTP, U-Net", "dice", ""),
    ("gomez2023_test", "ADC + TTP", "precision", "39 ± 26"),
    ("gomez2023_test", "ADC + Tmax", "recall", "57 ± 32"),
    ("gomez2023_test", "ADC + TTP + Tmax", "dice", "36 ± 21"),
    ("gomez2023_test", "Pinto et al., 4D-PWI model", "precision", "18 ± 21"),
    ("gomez2023_test", "Hu et al., Brain SegNet + FL", "recall", "43 ± 27"),
    ("abulnaga2018", "PSPNet, pre-trained, focal loss", "dice", "54 ± 9"),
    ("abulnaga2018", "PSPNet, pre-trained, cross entropy", "dice", "49 ± 11"),
    ("abulnaga2018", "PSPNet, from scratch, focal loss", "dice", ""),
    ("abulnaga2018_test", "ten pre-trained PSPNets", "hausdorff_penalised_mm", "1.62"),
    ("abulnaga2018_test", "ten pre-trained PSPNets", "absolute_volume_difference_ml", "10.18"),
    ("abulnaga2018_test", "ten pre-trained PSPNets", "dice", "44"),
    ("abulnaga2018_test", "ten pre-trained PSPNets", "assd_penalised_mm", "1.62"),
    ("abulnaga2018_test", "best of the leaderboard in each column", "recall", "58"),
    ("abulnaga2018", "V-Net, focal loss", "dice", ""),
    ("isles2024", "winner: windows, equalisation, ResEnc-L", "dice", "28.5 ± 21.3"),
    ("isles2024", "winner: windows, equalisation, ResEnc-L", "absolute_volume_difference_ml",
     "21.2"),
)  # fmt: skip


def _row(table: str, label: str):
    return next(row for row in TABLES[table].rows if row.label == label)


@pytest.mark.parametrize(("table", "label", "key", "text"), PRINTED)
def test_published_figures_as_printed(table, label, key, text):
    assert value_cell(_row(table, label).published, key) == text


def test_tables_are_complete():
    assert {name: len(table.rows) for name, table in TABLES.items()} == {
        "table1": 8, "table2": 5, "table3": 7, "table4": 6, "table5": 12, "table6": 5,
        "song2018": 8, "song2018_test": 1, "clerigues2019": 9, "clerigues2019_test": 10,
        "gomez2023": 6, "gomez2023_single": 24, "gomez2023_mri": 20, "gomez2023_test": 9,
        "abulnaga2018": 13, "abulnaga2018_folds": 2, "abulnaga2018_test": 2, "isles2024": 5,
    }  # fmt: skip
    for name, table in TABLES.items():
        assert name == table.name and table.proposed in table.names
        assert len(set(table.names)) == len(table.names)
        assert all(key in COLUMN_BY_KEY for key in table.keys)
        for row in (row for row in table.rows if row.published):
            # Fig. 3 of Abulnaga & Rubin has bars, and Table 1 the numbers of two of them.
            others = {"abulnaga2018": "Table 1", "isles2024": "abstract"}
            assert row.published.where in (table.where, others.get(name))
            assert row.published.paper == table.paper
            # Every published figure has its column, and every column its figure.
            assert set(row.published.values) - {PARAMETERS, *table.row_keys} <= set(table.keys)
            # Some papers print the Dice alone, or bars without numbers.
            dice_only = ("song2018", "gomez2023_single", "gomez2023_mri")
            dice_only += ("abulnaga2018", "abulnaga2018_folds", "isles2024")
            whole = row.label != "Real DWI" and name not in dice_only
            assert not whole or set(table.keys) <= set(row.published.values)


def test_rows_that_the_paper_repeats_agree():
    same = (
        (("table1", "w-L2 + l_h1"), ("table2", "F_o")),
        (("table3", "SLNet"), ("table4", "L_CE")),
        (("table4", "L_WCE + L_HGD"), ("table5", "F_o")),
    )
    for first, second in same:
        one, two = _row(*first), _row(*second)
        assert one.trainer == two.trainer
        shared = set(one.published.values) & set(two.published.values)
        assert len(shared) >= 5
        assert all(one.published.values[key] == two.published.values[key] for key in shared)


def test_every_trainer_is_found_by_nnunet():
    exported = {name for name, _ in inspect.getmembers(strokesynth_trainers, inspect.isclass)}
    assert {name for table in TABLES.values() for name in table.trainers} <= exported


def test_rows_have_the_configuration_and_the_width_of_their_trainer():
    for table in TABLES.values():
        for row in table.rows:
            for member in row.member_rows if row.name else ():
                trainer = getattr(strokesynth_trainers, member.trainer)
                assert row.base_features == getattr(trainer, "base_features", None)
                # nnU-Net's own network works in every configuration.
                assert row.configuration == getattr(trainer, "configuration", row.configuration)


def test_tables_have_the_epochs_of_their_trainers():
    for table in TABLES.values():
        trainers = [getattr(strokesynth_trainers, t) for t in table.trainers]
        assert {getattr(t, "default_epochs", 1000) for t in trainers} == {table.epochs}
        best = {issubclass(trainer, StagedTrainer) for trainer in trainers}
        assert best == {table.keeps_best}


def test_only_dwi_rows_read_the_real_dwi_and_only_synthesising_rows_are_measured_on_it():
    for table in TABLES.values():
        for row in table.rows:
            assert row.real_dwi == (row.label == "Real DWI")
            is_measured = table.name in ("table1", "table2") and not row.real_dwi
            assert row.synthesis == is_measured


def test_further_rows_have_no_published_figures():
    table = with_further_rows(TABLES["table3"], ["nnUNetTrainer", "StrokeSynthTrainer_RealDWI"])
    assert [row.published for row in table.rows[-2:]] == [None, None]
    assert [row.further for row in table.rows[-3:]] == [False, True, True]
    assert [row.real_dwi for row in table.rows[-2:]] == [False, True]
    with pytest.raises(ValueError, match="is a row of table3 already"):
        with_further_rows(TABLES["table3"], ["StrokeSynthTrainer_SegFCN"])


def test_scratch_never_stands_beside_the_pretrained_figure():
    rows = {row.name: row for row in TABLES["abulnaga2018"].rows}
    assert rows["Abulnaga2018Trainer"].published.values == {}
    assert not rows["Abulnaga2018Trainer"].pretrained
    for table in TABLES.values():
        for row in table.rows:
            starts = [
                getattr(getattr(strokesynth_trainers, m.trainer), "starts_pretrained", False)
                for m in (row.member_rows if row.name else ())
            ]
            assert all(started == row.pretrained for started in starts)


def test_folds_as_printed():
    focal, ce = TABLES["abulnaga2018_folds"].rows
    assert tuple(focal.published.folds) == (64, 42, 48, 55, 58)
    assert tuple(ce.published.folds) == (64, 37, 50, 54, 41)
    # The printed means and deviations are those of the printed folds, within their rounding.
    for row in (focal, ce):
        mean, sd = row.published.values["dice"]
        assert abs(statistics.mean(row.published.folds) - mean) < 1
        assert abs(statistics.stdev(row.published.folds) - sd) < 1
