"""report.html: an evaluation for people, in one page that opens without network or server."""

from __future__ import annotations

from pathlib import Path

from bertblocks.evaluation.report_data import ReportData

__all__ = ["report_html", "write_report"]


def report_html(data: ReportData) -> str:
    """The page: one file that opens without network or server.

    Args:
        data: What to show.
    """
    # matplotlib takes half a second to import, which who only trains or measures need not wait for.
    from bertblocks.evaluation.report.page import make_report

    return make_report(data).html


def write_report(data: ReportData, folder: Path) -> Path:
    """Write report.html and its pictures, report-NAME.svg, into a folder.

    All is drawn before anything is written, and each file is there whole or not at all. Pictures of an
    earlier report that this one does not have are removed.

    Args:
        data: What to show.
        folder: Where to; it is made if it is missing.

    Returns:
        The path of report.html.
    """
    from bertblocks.evaluation.report.page import make_report, write_files

    return write_files(make_report(data), folder)
