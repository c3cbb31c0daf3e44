"""From measurements to the report: one function per section; the markup is in ``report.html``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from nnunetv2_strokesynth.evaluation.columns import COLUMN_BY_KEY, Column, number_text
from nnunetv2_strokesynth.evaluation.metrics import MISSED_MM
from nnunetv2_strokesynth.evaluation.tables import (
    ALL_SIZES,
    NOTHING,
    RULES,
    Table,
    spread_cell,
    summarise,
    summary_tables,
    volume_table,
)
from nnunetv2_strokesynth.papers.published import by_source
from nnunetv2_strokesynth.papers.shared.published import SYSTEM_KEYS, Published, value_cell
from nnunetv2_strokesynth.reporting import evaluation_figures as figures
from nnunetv2_strokesynth.reporting.case_images import (
    HU_WINDOWS,
    OUTLINES,
    SECONDS,
    CasePanels,
    case_panels,
)
from nnunetv2_strokesynth.reporting.model_folder import Model
from nnunetv2_strokesynth.reporting.page import PANEL_DPI, Picture, picture, render_page
from nnunetv2_strokesynth.reporting.panels import Panel, Row, draw_panel
from nnunetv2_strokesynth.reporting.report_content import (
    Content,
    describe,
    find_failures,
    pick_cases,
    synthesis_notes,
)
from nnunetv2_strokesynth.reporting.side_by_side import (
    SideBySide,
    draw_systems,
    systems_table,
)
from nnunetv2_strokesynth.trainers.loss_figure import loss_figure

VOLUMES = (("volume_gt_ml", "True (mL)"), ("volume_pred_ml", "Predicted (mL)"))
# Of the headings, for those who do not know them.
GLOSSARY = (
    ("Dice", "overlap of predicted and true lesion, 2 |A and B| / (|A| + |B|)"),
    ("HD", "Hausdorff distance: the largest distance from one surface to the other"),
    ("HD95", "the same without the largest 5 % of the distances"),
    ("ASSD", "average symmetric surface distance: the mean distance from one surface to the other"),
    ("RVE", "relative volume error: |predicted - true volume| / true volume"),
    ("AVD", "absolute volume difference: |predicted - true volume|"),
    ("n.c.", "not countable: no distance, because a mask is empty"),
)
MOST_FAILURE_PICTURES = 24
NO_IMAGES = "No folder of input images: the channels are absent."
PENALISED = ("hausdorff_penalised_mm", "assd_penalised_mm")


class Failures(NamedTuple):
    """A sentence with the counts, and the cases to look at first."""

    summary: str
    table: Table


class Systems(NamedTuple):
    """Several systems: their means, and what each found and missed in some cases."""

    table: Table
    picture: Picture


class Curves(NamedTuple):
    """The training curves, and the names of folds that have none, as text."""

    picture: Picture | None
    folds_without_log: str


class ShownPanel(NamedTuple):
    """One image of a case; without picture it is absent."""

    picture: Picture | None
    caption: str


class ShownCase(NamedTuple):
    """All images of one case under a heading."""

    title: str
    text: str
    panels: list[ShownPanel]


def _cell(value: float, column: Column) -> str:
    if not math.isfinite(value):
        return NOTHING
    return number_text(value * column.factor, column.digits)


def _count(n_cases: int) -> str:
    return f"{n_cases} case{'' if n_cases == 1 else 's'}"


def _without_first_column(table: Table) -> Table:
    """The name of the set of predictions: there is only one."""
    return Table(table.title, table.header[1:], tuple(row[1:] for row in table.rows))


def failures(content: Content) -> Failures:
    """Cases that failed; the page shows them before any mean."""
    columns = [COLUMN_BY_KEY["dice"], COLUMN_BY_KEY["hausdorff_mm"]]
    rows = []
    for case_id, reasons, values in find_failures(content):
        numbers = [NOTHING] * 4
        if values is not None:
            numbers = [_cell(values[column.key], column) for column in columns]
            numbers += [f"{values[key]:.2f}" for key, _ in VOLUMES]
        rows.append((case_id, "; ".join(reasons), *numbers))
    header = ("Case", "Why", *(c.heading for c in columns), *(name for _, name in VOLUMES))
    cases = content.cases
    title = f"{_count(len(rows))} to look at first ({len(cases)} measured), worst first"
    zero = int((cases["dice"] == 0).sum())
    empty = int(((cases["volume_gt_ml"] > 0) & (cases["volume_pred_ml"] == 0)).sum())
    summary = (
        f"{zero} of {len(cases)} cases have Dice 0; {empty} have a lesion but an empty prediction."
    )
    return Failures(summary, Table(title, header, tuple(rows)))


def failure_pictures(content: Content) -> list[ShownPanel]:
    """The outlines of every failure that was measured, worst first; at most two dozen."""
    found = [one for one in find_failures(content) if one.values is not None]
    pictures = []
    for case_id, reasons, values in found[:MOST_FAILURE_PICTURES]:
        files = content.files[case_id]
        # One channel is enough to draw on; reading all of a scan takes a second.
        shown = case_panels(files._replace(channels=files.channels[:1], feature=None))
        made = _shown_panel(shown.panels[-1], case_id, shown)
        dice = _cell(values["dice"], COLUMN_BY_KEY["dice"])
        caption = (
            f"{case_id}: {'; '.join(reasons)}. Dice {dice} %, true {values['volume_gt_ml']:.2f} "
            f"mL, predicted {values['volume_pred_ml']:.2f} mL. Slice {shown.slice_number} of "
            f"{shown.n_slices}, {made.caption}"
        )
        pictures.append(made._replace(caption=caption))
    return pictures


def tables_by_size(content: Content) -> list[Table]:
    """Mean ± sd by size group, and the agreement of volumes."""
    tables = [*summary_tables(content.cases), volume_table(content.cases)]
    if not _is_missed(content):
        tables = [_without_columns(table, PENALISED) for table in tables]
    return [_without_first_column(table) for table in tables]


def _is_missed(content: Content) -> bool:
    """Whether a lesion was missed, so that a penalised distance says more than the plain one."""
    return any((content.cases[key] >= MISSED_MM).any() for key in PENALISED)


def _without_columns(table: Table, keys: Sequence[str]) -> Table:
    headings = [COLUMN_BY_KEY[key].heading for key in keys]
    kept = [i for i, heading in enumerate(table.header) if heading not in headings]
    rows = tuple(tuple(row[i] for i in kept) for row in table.rows)
    return table._replace(header=tuple(table.header[i] for i in kept), rows=rows)


def published_table(results: tuple[Published, ...]) -> Table:
    """What one source printed; columns that it does not give are left out."""
    first = results[0]
    keys = [key for key in SYSTEM_KEYS if any(key in result.values for result in results)]
    header = ("Method", *(COLUMN_BY_KEY[key].heading for key in keys))
    rows = tuple((r.method, *(value_cell(r, key) or NOTHING for key in keys)) for r in results)
    note = f" ({first.note})" if first.note else ""
    title = f"{first.paper}, {first.where}. Measured on: {first.data}{note}"
    return Table(title, header, rows)


def measured_here(content: Content) -> Table:
    """Our means in the columns of the papers."""
    columns = [COLUMN_BY_KEY[key] for key in SYSTEM_KEYS]
    ours = summarise(content.cases)[content.sources.kind][ALL_SIZES]
    row = (str(len(content.cases)), *(spread_cell(ours[column.key], column) for column in columns))
    return Table(
        "This model, measured here", ("n", *(column.heading for column in columns)), (row,)
    )


def curves(model: Model) -> Curves:
    """Every term of the loss in every fold."""
    figure = loss_figure({f"fold {fold.name}": fold.terms for fold in model.folds if fold.terms})
    alt = "Every term of the loss per epoch and fold"
    without = ", ".join(fold.name for fold in model.folds if not fold.terms)
    if not model.folds:
        without = "none trained"
    return Curves(None if figure is None else picture(figure, alt), without)


def _window_text(panel: Panel) -> str:
    name = panel.title.removeprefix(f"{OUTLINES} on ")
    low, high = panel.window
    unit = " HU" if name.startswith(tuple(HU_WINDOWS)) else ""
    unit = " s" if name.startswith(SECONDS) else unit
    digits = _digits(high - low)
    return f"{number_text(low, digits)} to {number_text(high, digits)}{unit}"


def _digits(span: float) -> int:
    """Decimals with which the ends of a window differ."""
    if span >= 20:
        return 0
    return 2 if not 0 < span < 0.1 else 1 - math.floor(math.log10(span))


def _shown_panel(panel: Panel, case_id: str, shown: CasePanels) -> ShownPanel:
    if panel.image is None:
        return ShownPanel(None, panel.title)
    outlined = (panel.title,) if panel.title.startswith(OUTLINES) else ()
    row = Row(case_id, (panel,), shown.lesion_gt, shown.lesion_pred, outlined, shown.sides_known)
    drawn = draw_panel(panel, row, aspect=shown.aspect)
    return ShownPanel(
        picture(drawn, f"{panel.title} of {case_id}", dpi=PANEL_DPI),
        f"{panel.title}: {_window_text(panel)}",
    )


def _shown_case(title: str, case_id: str, content: Content) -> ShownCase:
    values = content.cases.set_index("case_id").loc[case_id]
    shown = case_panels(content.files[case_id])
    fold = f", fold {values['fold']}" if values["fold"] else ""
    text = (
        f"Dice {_cell(values['dice'], COLUMN_BY_KEY['dice'])} %{fold}; true lesion "
        f"{values['volume_gt_ml']:.2f} mL, predicted {values['volume_pred_ml']:.2f} mL; slice "
        f"{shown.slice_number} of {shown.n_slices}, {_order(shown)}"
    )
    panels = [_shown_panel(panel, case_id, shown) for panel in shown.panels]
    return ShownCase(f"{title.capitalize()} by Dice: {case_id}", text, panels)


def _order(shown: CasePanels) -> str:
    return "counted from the feet" if shown.sides_known else "as stored: the side is unknown"


def panel_notes(content: Content, model: Model) -> list[tuple[str, str]]:
    """What is absent of the pictures, each with the command that makes it (or an empty string)."""
    notes = synthesis_notes(content, model)
    return [*notes, (NO_IMAGES, "")] if content.sources.images is None else notes


def charts(content: Content) -> list[Picture]:
    """Scatter, Bland-Altman and box plots."""
    cases = content.cases
    return [
        picture(figures.volume_scatter(cases), "Predicted against true volume"),
        picture(figures.bland_altman(cases), "Bland-Altman: volume error against mean volume"),
        picture(figures.size_group_boxes(cases, ("dice",)), "Dice by lesion size"),
        picture(
            figures.size_group_boxes(cases, ("relative_volume_error",)),
            "Relative volume error by lesion size",
        ),
    ]


def every_case(content: Content) -> Table:
    """One row per case."""
    columns = [COLUMN_BY_KEY[key] for key in SYSTEM_KEYS]
    folds = bool(content.folds)
    header = ("Case", *(("Fold",) if folds else ()), "Size group", *(name for _, name in VOLUMES))
    header += tuple(column.heading for column in columns)
    rows = []
    for _, row in content.cases.iterrows():
        cells = [row["case_id"], *((row["fold"],) if folds else ()), row["size_group"]]
        cells += [f"{row[key]:.2f}" for key, _ in VOLUMES]
        rows.append((*cells, *(_cell(row[column.key], column) for column in columns)))
    return Table(f"{_count(len(rows))}; {NOTHING} is not countable", header, tuple(rows))


def systems(content: Content, found: SideBySide) -> Systems:
    """The table of several systems, and their figure: best, median and worst case of the first."""
    of_first = content.cases[content.cases["case_id"].isin(found.shared)]
    picked = [case_id for _, case_id in pick_cases(of_first)]
    figure = draw_systems(found, [content.files[case_id] for case_id in picked])
    names = ", ".join(system.name for system in found.systems)
    return Systems(systems_table(found), picture(figure, f"Found, in vain and missed: {names}"))


def render(content: Content, model: Model, others: SideBySide | None = None) -> str:
    """The whole report as HTML. The same files give the same text.

    Args:
        content: what was measured.
        model: that the report is about.
        others: it and other systems on the same scans.
    """
    return render_page(
        "report.html",
        title=f"Report of {model.trainer}",
        facts=describe(content, model),
        failures=failures(content),
        failure_pictures=failure_pictures(content),
        most_failure_pictures=MOST_FAILURE_PICTURES,
        glossary=GLOSSARY,
        summary_tables=tables_by_size(content),
        rules=RULES,
        measured_here=measured_here(content),
        published_tables=[published_table(results) for results in by_source()],
        curves=curves(model),
        panel_notes=panel_notes(content, model),
        shown_cases=[_shown_case(title, i, content) for title, i in pick_cases(content.cases)],
        side_by_side=None if others is None else systems(content, others),
        charts=charts(content),
        every_case=every_case(content),
    )
