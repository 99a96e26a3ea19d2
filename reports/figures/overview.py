"""The figures of privacy and accuracy of a study."""

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.figures.accuracy import accuracy_drawing
from mgaudit.reports.figures.roc import roc_drawing
from mgaudit.reports.figures.scores import score_drawings
from mgaudit.reports.figures.strengths import strength_drawings
from mgaudit.reports.results import StudyResult
from mgaudit.reports.section import Section


def figures_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the section with accuracy, strengths, ROC curves and scores."""
    return Section.of(
        "Figures",
        accuracy_drawing(study),
        *strength_drawings(study),
        roc_drawing(study, arrays),
        *score_drawings(study, arrays),
    )
