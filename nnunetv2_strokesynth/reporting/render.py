"""From measurements to the page: one function per section, in the order in which they appear."""

from __future__ import annotations

import math
from html import escape

from nnunetv2_strokesynth.evaluation.columns import (
    COLUMN_BY_KEY,
    Column,
)
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
from nnunetv2_strokesynth.reporting import (
    figures,
    page,
)
from nnunetv2_strokesynth.reporting.case_images import (
    HU_WINDOWS,
    OUTLINES,
    SECONDS,
    CasePanels,
    case_panels,
)
from nnunetv2_strokesynth.reporting.content import (
    Content,
    describe,
    find_failures,
    pick_cases,
    synthesis_notes,
)
from nnunetv2_strokesynth.reporting.model_folder import Model
from nnunetv2_strokesynth.reporting.panels import (
    Panel,
    Row,
    draw_panel,
)
from nnunetv2_strokesynth.reporting.published import (
    KEYS,
    Published,
    by_source,
    value_cell,
)
from nnunetv2_strokesynth.reporting.training_curves import training_curves

NOTICE = (
    "For research only. This is no medical device: neither these figures nor the predictions may "
    "be used for diagnosis or treatment."
)
ORIENTATION = (
    "Radiological orientation by the files' headers: the patient's right (R) is on the left of the "
    "picture, anterior is up. Each case shows the slice with the widest true lesion. HU windows "
    "are fixed; other images run from the 1st to the 98th percentile of the slice's non-zero "
    "pixels."
)
VOLUMES = (("volume_gt_ml", "True (mL)"), ("volume_pred_ml", "Predicted (mL)"))
TEXT_COLUMNS = ("Case", "True volume", "Size group", "Why", "Method")


def _cell(value: float, column: Column) -> str:
    return f"{value * column.factor:.{column.digits}f}" if math.isfinite(value) else NOTHING


def _count(n_cases: int) -> str:
    return f"{n_cases} case{'' if n_cases == 1 else 's'}"


def _without_first_column(table: Table) -> Table:
    """The name of the set of predictions: there is only one."""
    return Table(table.title, table.header[1:], tuple(row[1:] for row in table.rows))


def failures_section(content: Content) -> str:
    """Cases that failed, before any mean."""
    failures = find_failures(content)
    columns = [COLUMN_BY_KEY["dice"], COLUMN_BY_KEY["hausdorff_mm"]]
    rows = []
    for case_id, reasons, values in failures:
        numbers = [NOTHING] * 4
        if values is not None:
            numbers = [_cell(values[column.key], column) for column in columns]
            numbers += [f"{values[key]:.2f}" for key, _ in VOLUMES]
        rows.append((case_id, "; ".join(reasons), *numbers))
    header = ("Case", "Why", *(c.heading for c in columns), *(name for _, name in VOLUMES))
    n_cases = len(content.cases)
    title = f"{_count(len(rows))} to look at first ({n_cases} measured), worst first"
    zero = int((content.cases["dice"] == 0).sum())
    empty = int(
        ((content.cases["volume_gt_ml"] > 0) & (content.cases["volume_pred_ml"] == 0)).sum()
    )
    summary = (
        f"{zero} of {n_cases} cases have Dice 0; {empty} have a lesion but an empty prediction."
    )
    table = page.table(Table(title, header, tuple(rows)), text_columns=TEXT_COLUMNS)
    return (
        f'<section id="failures"><h2>Failures first</h2><div class="failure">'
        f"{page.paragraph(summary)}{table}</div></section>"
    )


def summary_section(content: Content) -> str:
    """Mean ± sd by size group."""
    tables = [*summary_tables(content.cases), volume_table(content.cases)]
    body = "".join(
        page.table(_without_first_column(table), text_columns=TEXT_COLUMNS) for table in tables
    )
    return (
        f'<section id="summary"><h2>Summary by lesion size</h2>{body}'
        f"{page.paragraph(RULES, 'small')}</section>"
    )


def published_table(results: tuple[Published, ...]) -> str:
    """What one source printed; columns that it does not give are left out."""
    first = results[0]
    keys = [key for key in KEYS if any(key in result.values for result in results)]
    header = ("Method", *(COLUMN_BY_KEY[key].heading for key in keys))
    rows = tuple((r.method, *(value_cell(r, key) or NOTHING for key in keys)) for r in results)
    note = f" ({first.note})" if first.note else ""
    title = f"{first.paper}, {first.where}. Measured on: {first.data}{note}"
    return page.table(Table(title, header, rows), text_columns=TEXT_COLUMNS, css="published")


def published_section(content: Content) -> str:
    """Our means, then in other tables and another colour what papers printed."""
    columns = [COLUMN_BY_KEY[key] for key in KEYS]
    ours = summarise(content.cases)[content.sources.kind][ALL_SIZES]
    row = (str(len(content.cases)), *(spread_cell(ours[column.key], column) for column in columns))
    header = ("n", *(column.heading for column in columns))
    here = Table("This model, measured here", header, (row,))
    warning = (
        'Rows marked "published" are copied from papers. They were measured on OTHER data: other '
        "scans, splits and code. A difference to this model is no evidence that either is better, "
        "and nothing of them enters any other figure of this report."
    )
    papers = "".join(published_table(results) for results in by_source())
    return (
        '<section id="published"><h2>Beside published figures</h2>'
        f"{page.table(here)}{page.paragraph(warning)}{papers}</section>"
    )


def curves_section(model: Model) -> str:
    """Every term of the loss in every fold."""
    parts = ['<section id="curves"><h2>Training curves</h2>']
    figure = training_curves(model.folds)
    without = [fold.name for fold in model.folds if not fold.terms]
    if figure is not None:
        alt = "Every term of the loss per epoch and fold"
        caption = "Mean of each term per epoch; training solid, validation dashed."
        parts.append(
            f'<div class="curves">{page.captioned(page.image(figure, alt), caption)}</div>'
        )
    if without or not model.folds:
        parts.append(
            page.paragraph(
                f"No loss_terms.csv (only StrokeSynth trainers write it) in fold: "
                f"{', '.join(without) or 'none trained'}.",
                "small",
            )
        )
    text = "The online Dice of every epoch is in nnU-Net's own progress.png in each fold's folder."
    return "".join([*parts, page.paragraph(text, "small"), "</section>"])


def _window_text(panel: Panel) -> str:
    name = panel.title.removeprefix(f"{OUTLINES} on ")
    low, high = panel.window
    unit = " HU" if name.startswith(tuple(HU_WINDOWS)) else ""
    unit = " s" if name.startswith(SECONDS) else unit
    digits = 0 if high - low >= 20 else 2
    return f"{low:.{digits}f} to {high:.{digits}f}{unit}"


def _picture(panel: Panel, case_id: str, shown: CasePanels) -> str:
    if panel.image is None:
        return page.captioned('<div class="none">absent</div>', panel.title)
    outlined = (panel.title,) if panel.title.startswith(OUTLINES) else ()
    row = Row(case_id, (panel,), shown.lesion_gt, shown.lesion_pred, outlined=outlined)
    drawn = draw_panel(panel, row, aspect=shown.aspect)
    body = page.image(drawn, f"{panel.title} of {case_id}", dpi=page.PANEL_DPI)
    return page.captioned(body, f"{panel.title}: {_window_text(panel)}")


def _case(title: str, case_id: str, content: Content) -> str:
    values = content.cases.set_index("case_id").loc[case_id]
    shown = case_panels(content.files[case_id])
    fold = f", fold {values['fold']}" if values["fold"] else ""
    text = (
        f"Dice {_cell(values['dice'], COLUMN_BY_KEY['dice'])} %{fold}; true lesion "
        f"{values['volume_gt_ml']:.2f} mL, predicted {values['volume_pred_ml']:.2f} mL; slice "
        f"{shown.slice_number} of {shown.n_slices}, counted from the feet"
    )
    pictures = "".join(_picture(panel, case_id, shown) for panel in shown.panels)
    return (
        f"<h3>{title.capitalize()} by Dice: {escape(case_id)}</h3>{page.paragraph(text)}"
        f'<div class="panels">{pictures}</div>'
    )


def panels_section(content: Content, model: Model) -> str:
    """Pictures of the best, the median and the worst case."""
    legend = (
        '<p><span class="gt"></span> ground truth (green) &nbsp; '
        '<span class="pred"></span> prediction (yellow)</p>'
    )
    notes = ""
    for text, command in synthesis_notes(content, model):
        code = f" <code>{escape(command)}</code>" if command else ""
        notes += f'<p class="small">{escape(text)}{code}</p>'
    if content.sources.images is None:
        notes += page.paragraph("No folder of input images: the channels are absent.", "small")
    cases = "".join(_case(title, i, content) for title, i in pick_cases(content.cases))
    return (
        '<section id="panels"><h2>Best, median and worst case</h2>'
        f"{legend}{page.paragraph(ORIENTATION, 'small')}{notes}{cases}</section>"
    )


def volumes_section(content: Content) -> str:
    """Scatter, Bland-Altman and box plots."""
    cases = content.cases
    charts = (
        (figures.volume_scatter(cases), "Predicted against true volume"),
        (figures.bland_altman(cases), "Bland-Altman: volume error against mean volume"),
        (figures.size_group_boxes(cases, ("dice",)), "Dice by lesion size"),
        (figures.size_group_boxes(cases, ("relative_volume_error",)),
         "Relative volume error by lesion size"),
    )  # fmt: skip
    body = "".join(page.captioned(page.image(figure, text), text) for figure, text in charts)
    return (
        f'<section id="volumes"><h2>Volumes and lesion size</h2><div class="charts">{body}</div>'
        "</section>"
    )


def cases_section(content: Content) -> str:
    """Every case."""
    columns = [COLUMN_BY_KEY[key] for key in KEYS]
    folds = bool(content.folds)
    header = ("Case", *(("Fold",) if folds else ()), "Size group", *(name for _, name in VOLUMES))
    header += tuple(column.heading for column in columns)
    rows = []
    for _, row in content.cases.iterrows():
        cells = [row["case_id"], *((row["fold"],) if folds else ()), row["size_group"]]
        cells += [f"{row[key]:.2f}" for key, _ in VOLUMES]
        rows.append((*cells, *(_cell(row[column.key], column) for column in columns)))
    table = Table(f"{_count(len(rows))}; {NOTHING} is not countable", header, tuple(rows))
    return (
        '<section id="cases"><h2>Every case</h2>'
        f"{page.table(table, text_columns=TEXT_COLUMNS)}</section>"
    )


def render(content: Content, model: Model) -> str:
    """The whole report as HTML. The same files give the same text."""
    facts = page.definition_list(describe(content, model))
    return page.document(
        f"Report of {model.trainer}",
        [
            f'<section id="evaluated">{facts}{page.paragraph(NOTICE, "notice")}</section>',
            failures_section(content),
            summary_section(content),
            published_section(content),
            curves_section(model),
            panels_section(content, model),
            volumes_section(content),
            cases_section(content),
        ],
    )
