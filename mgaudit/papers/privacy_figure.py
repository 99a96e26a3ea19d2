"""The figure that asks what the noise of a paper does to the strongest attack."""

from collections.abc import Sequence
from functools import partial

from mgaudit.papers.claim import Claim
from mgaudit.papers.paper import PaperFigure
from mgaudit.papers.privacy import Noise, PrivacyAudit, claims_of, measure
from mgaudit.papers.privacy_drawing import draw

ABOUT = (
    "So there is nothing to reproduce, and the statements are questions of our own. All arms train "
    "the same two-layer network on the same halves of the images. The strongest attack was chosen "
    "in advance: `stacked` at full scale, and RMIA, which is faster, at quick scale. Its shadows "
    "know of the noise. Between strengths, accuracy and AUC are interpolated linearly, so that "
    "noises are compared at the accuracy of training without noise, of training without noise that "
    "stops early, and of DP-SGD. A "
    "difference matters from 0.02, as in the verdicts of `mgaudit run`. DP-SGD is tuned: at full "
    "scale by a search on images outside the audit, and at quick scale with the settings that a "
    "search found for a wider network on other halves of the images. Strengths were chosen by test "
    "accuracy alone."
)


def privacy_figure(
    noises: Sequence[Noise],
    about: str,
    quick: PrivacyAudit,
    full: PrivacyAudit,
    claims: tuple[Claim, ...] = (),
) -> PaperFigure:
    """Returns the figure on privacy of a paper with these kinds of noise.

    `about` says what the paper has instead, and which noise is measured. `claims` are those beside
    the ones that every noise has.
    """
    of_noises = [claim for noise in noises for claim in claims_of(noise)]
    return PaperFigure(
        key="privacy",
        title="Privacy beside theory: the strongest attack at matched accuracy",
        about=f"{about} {ABOUT}",
        quick=quick,
        full=full,
        measure=partial(measure, noises),
        draw=partial(draw, noises),
        description=(
            "Test accuracy against the AUC of the strongest attack without noise, under noise of "
            "several strengths and under DP-SGD; the differences in AUC at matched accuracy."
        ),
        claims=(*of_noises, *claims),
    )
