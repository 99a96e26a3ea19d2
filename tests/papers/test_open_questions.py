"""The figure on the open questions, measured on a study of a second."""

from matplotlib.figure import Figure

from mgaudit.papers.gaussian_masking import open_questions
from mgaudit.papers.gaussian_masking.open_questions import OpenQuestions
from mgaudit.papers.paper import Resources
from mgaudit.study.progress import Progress


def test_every_arm_and_depth_is_measured_and_drawn() -> None:
    settings = OpenQuestions(
        dataset="digits",
        kappas=(0.5, 2.0),
        fixed_kappas=(0.5,),
        depths=(2, 3),
        depth_kappa=1.0,
        models=4,
        examples=150,
        epochs=1,
        width=8,
    )
    data = open_questions.measure(settings, Resources(1, "cpu", Progress()))
    arms = [(row["kind"], row["kappa"]) for row in data["arms"]]
    assert arms == [
        ("none", 0.0),
        ("fresh masks", 0.5),
        ("fresh masks", 2.0),
        ("fixed masks", 0.5),
        ("DP-SGD", 0.0),
    ]
    assert [row["depth"] for row in data["depths"]] == [2.0, 3.0]
    assert all(
        float(row["auc_low"]) <= float(row["auc"]) <= float(row["auc_high"]) for row in data["arms"]
    )
    figure = open_questions.draw(data)
    assert isinstance(figure, Figure)
    assert len(figure.axes[1].get_xticks()) == 2
