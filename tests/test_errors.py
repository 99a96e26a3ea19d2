"""The error of a user's mistake."""

import pickle

from mgaudit.errors import UsageError, did_you_mean


def test_the_line_names_key_rule_value_and_way_out() -> None:
    error = UsageError("kappa", "must be >= 0", "-0.1", "use 0\nfor no noise")
    assert str(error) == "kappa must be >= 0, got -0.1; use 0 for no noise"
    assert (error.key, error.rule, error.value, error.way_out) == (
        "kappa",
        "must be >= 0",
        "-0.1",
        "use 0\nfor no noise",
    )


def test_an_error_comes_back_from_a_worker_as_it_was() -> None:
    error = pickle.loads(pickle.dumps(UsageError("kappa", "must be >= 0", None, "use 0")))
    assert str(error) == "kappa must be >= 0; use 0"
    assert error.way_out == "use 0"


def test_an_error_inside_a_table_names_the_place() -> None:
    assert UsageError("kappa", "must be >= 0").inside("arms[2]").key == "arms[2].kappa"
    assert UsageError("[1]", "must be text").inside("schemes").key == "schemes[1]"


def test_the_nearest_name_is_found_in_any_case() -> None:
    assert did_you_mean("Digits", ["digits", "cifar10"]) == "did you mean 'digits'?"
    assert did_you_mean("zzz", ["digits"]) == ""
