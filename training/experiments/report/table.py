"""A table that is read as Markdown and computed with as CSV, and what rows of several tables share."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from training.experiments.running.run_result import RunResult
from training.experiments.statistics.runs import MarketplaceGroup, MethodRuns, Sequence_, Trial
from training.experiments.statistics.summary import Estimate, average, mean_of_all

NONE = "–"

Value = str | int | float | None


@dataclass(frozen=True, slots=True)
class Cell:
    """What a reader sees, and the numbers behind it in full precision by CSV column."""

    text: str
    values: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReportTable:
    """Rows under column titles; the first column is text, all others are numbers.

    Args:
        name: of the CSV file.
        notes: what a number is, printed below.
    """

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    notes: tuple[str, ...] = ()

    def markdown(self) -> str:
        """Title, rows and notes."""
        lines = [
            _line(self.columns),
            _line(["---", *("---:" for _ in self.columns[1:])]),
            *(_line([cell.text for cell in row]) for row in self.rows),
        ]
        return "\n\n".join([f"### {self.title}", "\n".join(lines), *self.notes]) + "\n"

    def csv(self) -> str:
        """A line per row; a column that a row has no number for is empty there."""
        records = self.records()
        header = list(dict.fromkeys(key for record in records for key in record))
        text = io.StringIO()
        writer = csv.DictWriter(text, header, lineterminator="\n")
        writer.writeheader()
        writer.writerows(records)
        return text.getvalue()

    def records(self) -> list[dict[str, Value]]:
        """The numbers of every row."""
        return [{key: value for cell in row for key, value in cell.values.items()} for row in self.rows]


def mean_cell(column: str, found: Estimate | None, difference: float | None = None) -> Cell:
    """`0.8829 ± 0.0004 (+0.0029)`: mean, standard deviation over trials, difference to a reference."""
    if found is None:
        return Cell(NONE, {f"{column}_mean": None})
    text = f"{found.mean:.4f}" + ("" if found.std is None else f" ± {found.std:.4f}")
    values: dict[str, Value] = {f"{column}_mean": found.mean, f"{column}_std": found.std}
    if difference is not None:
        text += f" ({signed(difference)})"
        values[f"{column}_difference"] = difference
    return Cell(text, values)


def interval_cell(column: str, found: Estimate | None, sign: bool = True) -> Cell:
    """`+0.0029 [+0.0011, +0.0047]`: mean and its t interval; the mean alone where n = 1."""
    if found is None:
        return Cell(NONE, {f"{column}_mean": None})
    shown = signed if sign else "{:.4f}".format
    interval = "" if found.low is None or found.high is None else f" [{shown(found.low)}, {shown(found.high)}]"
    values: dict[str, Value] = {f"{column}_{key}": value for key, value in found.as_dict().items() if key != "n"}
    return Cell(shown(found.mean) + interval, values)


def signed(value: float) -> str:
    """Four decimals with the sign always there; what rounds to nothing has none."""
    text = f"{value:+.4f}"
    return "0.0000" if text in ("+0.0000", "-0.0000") else text


def count_cell(column: str, value: float) -> Cell:
    """`22.1M`, `590k`: a number of parameters."""
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            shown = value / size
            return Cell(f"{shown:.0f}{unit}" if shown >= 100 else f"{shown:.3g}{unit}", {column: round(value)})
    return Cell(f"{value:.0f}", {column: round(value)})


def text_cell(column: str, text: str) -> Cell:
    """The same to read and to compute with."""
    return Cell(text, {column: text})


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(text.replace("|", "\\|") for text in cells) + " |"


Number = Callable[[RunResult], float | None]
Row = tuple[Cell, ...]


def title_cell(method: MethodRuns, after: str = "") -> Cell:
    """The method's title, with a mark where planned runs are missing."""
    text = method.title + (f": {after}" if after else "") + ("" if method.is_complete else " †")
    return Cell(text, {"label": method.label, "title": method.title, "after": after})


def n_cell(method: MethodRuns, sequence: Sequence_ | None = None) -> Cell:
    """How many trials the row's means are over."""
    n = len(method.by_trial(average, sequence))
    return Cell(str(n), {"n": n})


def incomplete_note(group: MarketplaceGroup) -> tuple[str, ...]:
    """What the mark means, where there is one."""
    if all(method.is_complete for method in group.methods):
        return ()
    return ("† Some of the row's planned runs are missing; its numbers are of those that are finished.",)


def paired_differences(
    method: MethodRuns,
    number: Number,
    reference: MethodRuns | None,
    reference_number: Number,
    sequence: Sequence_ | None = None,
) -> dict[Trial, float]:
    """A number less a reference's, in every trial that both have; empty for the reference itself."""
    if reference is None or reference.label == method.label:
        return {}
    ours, theirs = method.by_trial(number, sequence), reference.by_trial(reference_number, sequence)
    return {trial: ours[trial] - theirs[trial] for trial in ours if trial in theirs}


def auc_after(result: RunResult, step: int, names: Sequence_) -> float | None:
    """Mean ROC-AUC over some marketplaces after a step; -1 is the last."""
    row = result.test_matrix[step] if step < len(result.test_matrix) else {}
    return mean_of_all(row.get(name) for name in names)


def untrained_auc(result: RunResult, names: Sequence_) -> float | None:
    """Mean over some marketplaces of the untrained cosine's ROC-AUC."""
    return mean_of_all(result.zero_shot.get(name) for name in names)


def gain_over_untrained(result: RunResult, names: Sequence_) -> float | None:
    """Final ROC-AUC less the untrained cosine's, mean over some marketplaces."""
    final, untrained = auc_after(result, -1, names), untrained_auc(result, names)
    return None if final is None or untrained is None else final - untrained


def trained_parameters(result: RunResult, step: int) -> float | None:
    """Weights that a step trained; -1 is the last."""
    return float(result.steps[step].trainable_parameters) if step < len(result.steps) else None


def total_parameters(result: RunResult) -> float:
    """Weights that are needed to score all marketplaces."""
    return float(result.total_parameters)


def training_seconds(result: RunResult) -> float:
    """Training time of all steps without translation, which may have been kept from an earlier run."""
    return sum(step.seconds - step.translation_seconds for step in result.steps)


def translation_seconds(result: RunResult) -> float:
    """Time that translating took in all steps."""
    return sum(step.translation_seconds for step in result.steps)


def translated_share(result: RunResult) -> float:
    """Share of the new training rows that was translated: 0 where nothing was."""
    share = result.configuration.get("translated_share")
    translates = any(step.translated_rows for step in result.steps)
    return float(share) if translates and isinstance(share, int | float) else 0.0
