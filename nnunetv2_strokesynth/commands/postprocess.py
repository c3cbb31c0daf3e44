"""``strokesynth postprocess``: apply a tuned threshold and minimum lesion size to predictions."""

from __future__ import annotations

import argparse
import functools
import logging
from pathlib import Path

from nnunetv2_strokesynth.commands.next_step import Words, say_next

EXAMPLE = (
    "strokesynth postprocess -i predictions -p postprocessing_strokesynth.json -o postprocessed"
)

APPLIED_NAME = "postprocessing_strokesynth.json"
logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of ``strokesynth postprocess``."""
    add = parser.add_argument
    add("-i", "--input", type=Path, required=True, help="folder written by `nnUNetv2_predict ... "
        "--save_probabilities`, or a trained model's folder validated with --npz")  # fmt: skip
    add("-f", "--folds", type=int, nargs="+", help="only the validation cases of these folds of a "
        "model (default: all folds)")  # fmt: skip
    add("-p", "--postprocessing", type=Path, required=True, help="JSON from `strokesynth tune`")
    add("-o", "--output", type=Path, required=True, help="folder for the labels")
    add("--workers", type=int, default=2, help="processes (default: 2)")
    add("--overwrite", action="store_true", help="replace earlier labels")


def run(args: argparse.Namespace) -> None:
    """Post-process every case of a folder."""
    from nnunetv2_strokesynth.evaluation import postprocessing
    from nnunetv2_strokesynth.io.atomic import write_json
    from nnunetv2_strokesynth.io.output_folder import refuse_existing_folder, result_folder
    from nnunetv2_strokesynth.io.process_pool import map_cases
    from nnunetv2_strokesynth.io.text_files import read_json_object

    rule = postprocessing.read_rule(args.postprocessing)
    if args.output.resolve() == args.input.resolve():
        raise ValueError("-o has to be another folder than -i: the input stays as it is")
    refuse_existing_folder(args.output, args.overwrite, _is_ours)
    files = postprocessing.probability_files(args.input, folds=args.folds)
    content = read_json_object(args.postprocessing, way_out="run `strokesynth tune` again")
    with result_folder(args.output, overwrite=args.overwrite, is_ours=_is_ours) as folder:
        apply = functools.partial(postprocessing.postprocess_case, rule=rule, output=folder)
        counts = map_cases(apply, files, workers=args.workers, description="post-process")
        write_json(folder / APPLIED_NAME, content)
    emptied = sum(before > 0 and after == 0 for before, after in counts)
    logger.info(
        "%d cases with T = %g, S_min = %g %s; %d became empty; labels: %s",
        len(counts), *rule, emptied, args.output,
    )  # fmt: skip
    commands = next_commands(args.output, content)
    if commands:
        say_next(*commands)
    else:
        logger.info("no true lesions of these cases are known here to measure the labels by")


def _is_ours(name: str) -> bool:
    from nnunetv2_strokesynth.evaluation.cases import IMAGE_ENDINGS

    return name == APPLIED_NAME or name.endswith(IMAGE_ENDINGS)


def next_commands(output: Path, rule: dict) -> list[Words]:
    """The evaluation of the labels, if their true lesions are known; nothing otherwise.

    They are those that the rule was tuned on, or those of the test scans beside them.

    Args:
        output: the folder of labels.
        rule: what ``strokesynth tune`` wrote.
    """
    from nnunetv2_strokesynth.evaluation.cases import case_files
    from nnunetv2_strokesynth.io.text_files import inner_object

    truth = inner_object(rule, "tuned_on").get("gt")
    if not isinstance(truth, str):
        return []
    tuned_on = Path(truth)
    found = set(case_files(output))
    for truth in (tuned_on, tuned_on.with_name("labelsTs")):
        known = set(case_files(truth)) if truth.is_dir() else set()
        if found and found <= known:
            words = ["strokesynth", "evaluate", "--gt", truth, "--pred", output]
            words += ["--allow-missing"] if known - found else []
            return [[*words, "-o", f"evaluation_{output.name}"]]
    return []
