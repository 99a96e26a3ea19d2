"""The plain arm in words: training without noise, or the training function called "plain".

All other arms of a study are compared with the plain arm.
"""

from mgaudit.reports.results import StudyResult


def the_plain_arm(study: StudyResult) -> str:
    """Returns the plain arm as a noun, such as "the arm without noise"."""
    return _by_origin(study, "the arm without noise", "the arm {}")


def plain_training(study: StudyResult) -> str:
    """Returns the training of the plain arm, such as "training without noise"."""
    return _by_origin(study, "training without noise", "the arm {}")


def plainly(study: StudyResult) -> str:
    """Returns how the models of the plain arm are trained, such as "without noise"."""
    return _by_origin(study, "without noise", "by the arm {}")


def plain_name(study: StudyResult) -> str:
    """Returns the name of the plain arm, such as "no noise"."""
    return _by_origin(study, "no noise", "{}")


def _by_origin(study: StudyResult, trained: str, of_user: str) -> str:
    """Returns the words for models that mgaudit trained, or those for functions of the user."""
    if study.models_from == "training" or study.plain is None:
        return trained
    return of_user.format(study.plain.label)
