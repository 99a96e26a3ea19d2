"""A wrong name of an argument is a mistake in one line, which names the right one."""

from collections.abc import Callable
from typing import Any

import pytest

import mgaudit

MADE_UP = object.__new__(mgaudit.Result)  # whose methods are not entered

# A call, a wrong argument, and the right name; "" where none is near.
WRONG: list[tuple[Callable[..., Any], str, str]] = [
    (mgaudit.run, "attacks", "attack"),
    (mgaudit.run, "schemes", "scheme"),
    (mgaudit.run, "query", "queries"),
    (mgaudit.run, "model", "models"),
    (mgaudit.run, "canary", "canaries"),
    (mgaudit.run, "epoch", "epochs"),
    (mgaudit.compare, "attacks", "attack"),
    (mgaudit.compare, "schemes", "scheme"),
    (mgaudit.compare, "targets", "target"),
    (mgaudit.compare, "datasets", "dataset"),
    (mgaudit.compare, "seeds", "seed"),
    (mgaudit.compare, "kappa", ""),
    (mgaudit.estimate, "attacks", "attack"),
    (mgaudit.estimate, "seeds", "seed"),
    (mgaudit.estimate, "kappa", ""),
    (mgaudit.tune_dp, "trial", "trials"),
    (mgaudit.tune_dp, "attack", ""),
    (mgaudit.audit_dp, "canary", "canaries"),
    (mgaudit.audit_dp, "direction", "directions"),
    (mgaudit.audit_checkpoint, "attacks", "attack"),
    (mgaudit.audit_checkpoint, "member", "members"),
    (mgaudit.audit_checkpoint, "non_member", "non_members"),
    (mgaudit.attack, "attacks", "attack"),
    (mgaudit.audit, "attack", "attacks"),
    (mgaudit.audit, "model", "models"),
    (mgaudit.audit, "group", "groups"),
    (mgaudit.audit, "canary", "canaries"),
    (mgaudit.audit, "guess", "guesses"),
    (mgaudit.score, "attack", "attacks"),
    (mgaudit.score, "target", "targets"),
    (mgaudit.score, "label", "labels"),
    (mgaudit.score, "output", "outputs"),
    (mgaudit.reproduce, "paper", "papers"),
    (mgaudit.reproduce, "formats", "format"),
    (mgaudit.load, "run_", "run"),
    (mgaudit.Study, "scheme", "schemes"),
    (mgaudit.Study, "attack", "attacks"),
    (mgaudit.Study, "target", "targets"),
    (mgaudit.Study, "seed", "seeds"),
    (mgaudit.WhiteBoxAuditor, "direction", "directions"),
    (MADE_UP.attack, "query", "queries"),
]


@pytest.mark.parametrize(
    ("call", "wrong", "right"), WRONG, ids=lambda part: getattr(part, "__qualname__", part)
)
def test_a_wrong_name_is_one_line_with_the_right_name(
    call: Callable[..., Any], wrong: str, right: str
) -> None:
    with pytest.raises(mgaudit.UsageError) as refused:
        call(**{wrong: "x"})
    assert refused.value.key == wrong
    assert refused.value.rule.startswith("is not an argument")
    title = call.__qualname__
    expected = f"did you mean {right!r}?" if right else f"see help(mgaudit.{title})"
    assert refused.value.way_out == expected
    assert "\n" not in str(refused.value)


def test_every_public_function_refuses_an_unknown_name() -> None:
    classes = ("DPResult", "Result", "RunFailedError", "TuningResult", "UsageError")
    functions = set(mgaudit.__all__) - {"__version__", *classes}
    for name in functions:
        with pytest.raises(mgaudit.UsageError, match=r"^zzz is not an argument"):
            getattr(mgaudit, name)(zzz=1)


@pytest.mark.parametrize("name", ["attack", "attacks"])
def test_attacks_that_are_given_by_position_have_no_name(name: str) -> None:
    with pytest.raises(mgaudit.UsageError, match=r"^attacks? is .*; give attacks without a name$"):
        MADE_UP.attack(**{name: "rmia"})  # type: ignore[arg-type]
    with pytest.raises(mgaudit.UsageError, match=r"; give conditions without a name$"):
        MADE_UP.failures(condition="auc>0.5")  # type: ignore[call-arg]


def test_right_names_and_missing_arguments_are_as_before() -> None:
    assert mgaudit.Study(["none"], models=4) == mgaudit.Study(schemes=["none"], models=4)
    with pytest.raises(TypeError, match="members"):
        mgaudit.audit_checkpoint("model.pt")  # type: ignore[call-arg]
