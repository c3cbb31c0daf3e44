"""What was found in an image that cannot be, or can hardly be, what its file says it is."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with the values of an image.

    Attributes:
        image: what it is, with its file's name where it has one: ``Tmax (tmax.nii.gz)``.
        found: what was found, with its range.
        expected: what was expected, with its range.
        action: what to do, or to look at.
        refuses: whether the image cannot be used; otherwise it is used with a warning.
    """

    image: str
    found: str
    expected: str
    action: str
    refuses: bool

    @property
    def sentence(self) -> str:
        """All of it for the user."""
        return f"{self.image}: {self.found}, expected {self.expected}; {self.action}"


def settle(findings: Iterable[Finding]) -> list[str]:
    """The sentences of the findings that warn.

    Raises:
        ValueError: at least one refuses; the message holds the sentences of those that do.
    """
    findings = list(findings)
    refusing = [finding.sentence for finding in findings if finding.refuses]
    if refusing:
        raise ValueError("; ".join(refusing))
    return [finding.sentence for finding in findings]


def warn_only(
    findings: Iterable[Finding], where: Callable[[Finding], bool] = lambda _: True
) -> list[Finding]:
    """The findings; those for which ``where`` is true warn even if they would refuse."""
    return [replace(f, refuses=f.refuses and not where(f)) for f in findings]


def label(name: str, file: str | None) -> str:
    """``Finding.image`` of a modality and the name of its file, if it has one."""
    return f"{name} ({file})" if file else name
