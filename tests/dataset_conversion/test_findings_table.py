from pathlib import Path

from nnunetv2_strokesynth.dataset_conversion.findings import (
    CaseFinding,
    Diagnosis,
    Examined,
    Level,
)
from nnunetv2_strokesynth.dataset_conversion.findings_table import table


def scan(number, *findings, split="train"):
    return Examined(f"case_{number:03d}", f"TRAINING/case_{number}", split, {}, list(findings))


def diagnosis(*scans, findings=(), is_quick=False):
    return Diagnosis(Path("/data"), "isles2018", list(scans), list(findings), [], is_quick)


def finding(level, text, modality="", known=""):
    return CaseFinding(level, modality, text, known)


def test_all_fine():
    text = table(diagnosis(scan(1), scan(2), scan(3, split="test")))
    assert text.splitlines() == [
        "isles2018 in /data: 3 scans (2 training, 1 testing)",
        "all 3 scans are fine",
    ]


def test_rows_by_level_then_in_the_order_of_the_scans():
    bad = finding(Level.REFUSED, "truncated", "CBF", "so it is released")
    odd = finding(Level.DOUBTFUL, "is it in HU?")
    whole = finding(Level.REFUSED, "2 patients cannot fill 5 folds")
    text = table(diagnosis(scan(1, odd), scan(2, bad, odd), scan(3), findings=[whole]))
    assert text.splitlines()[1:] == [
        "1 refused, 1 doubtful, 1 fine",
        "",
        "REFUSED   data set   2 patients cannot fill 5 folds",
        "REFUSED   case_002   TRAINING/case_2: CBF: truncated",
        "                     known: so it is released",
        "doubtful  case_001   TRAINING/case_1: is it in HU?",
        "doubtful  case_002   TRAINING/case_2: is it in HU?",
    ]


def test_notes_that_differ_in_numbers_alone_are_one_line():
    notes = [
        finding(Level.NOTE, f"s_{n}.nii has {n} voxels that became background") for n in (1, 2)
    ]
    other = finding(Level.NOTE, "stored in LAS order", "CT")
    text = table(diagnosis(scan(1, notes[0]), scan(2, notes[1], other)))
    assert "note      2 scans (case_001, case_002): s_1.nii has 1 voxels" in text
    assert (
        text.count("became background") == 1
        and "case_002: CT: stored in LAS" in text
        and "(the" in text
    )


def test_long_sentences_go_on_below_their_start():
    text = table(diagnosis(scan(1, finding(Level.DOUBTFUL, "word " * 40))))
    rows = text.splitlines()[3:]
    assert len(rows) > 2 and all(len(row) <= 100 for row in rows)
    assert all(row.startswith(" " * 21 + "word") for row in rows[1:])


def test_counts_and_what_needs_a_decision():
    note, odd = finding(Level.NOTE, "a"), finding(Level.DOUBTFUL, "b")
    bad = finding(Level.REFUSED, "c")
    assert not diagnosis(scan(1, note), scan(2), findings=[note]).needs_decision
    assert diagnosis(scan(1, odd, odd), scan(2, note)).needs_decision
    assert diagnosis(scan(1), findings=[odd]).needs_decision
    for found, stops in ((odd, False), (bad, True)):
        assert (
            diagnosis(scan(1, found)).stops == diagnosis(scan(1), findings=[found]).stops == stops
        )
    content = diagnosis(scan(1, odd), scan(2)).content()
    assert content["counts"] == {"refused": 0, "doubtful": 1, "fine": 1}
    assert content["needs_decision"] is True


def test_scans_that_are_left_out_need_no_decision():
    bad = finding(Level.REFUSED, "c")
    left_out = diagnosis(scan(1, bad), scan(2))._replace(skips_broken=True)
    assert not left_out.stops and not left_out.needs_decision
    whole = diagnosis(scan(1), findings=[bad])._replace(skips_broken=True)
    assert whole.stops and whole.needs_decision
