"""A table with categories and gaps, from file to report, against a pipeline of scikit-learn."""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from typer.testing import CliRunner

import mgaudit
from mgaudit.cli.app import app
from mgaudit.settings.datasets import load

NUMBERS = ["bill_length", "bill_depth", "mass", "year"]
WORDS = ["island", "sex"]


def write_birds(path: Path) -> pd.DataFrame:
    """Writes a made-up table of birds of three species, of which each island has some."""
    draw = np.random.default_rng(0)
    species = np.array(["Adela", "Gento", "Chin"])[draw.permutation(360) % 3]
    centres = pd.DataFrame(
        {"bill_length": [39, 47, 48], "bill_depth": [18, 15, 18], "mass": [3700, 5000, 3730]},
        index=["Adela", "Gento", "Chin"],
    )
    table = centres.loc[species].reset_index(names="species")
    table["bill_length"] += draw.normal(0, 4, 360).round(1)
    table["bill_depth"] += draw.normal(0, 2, 360).round(1)
    table["mass"] += draw.normal(0, 700, 360).round()
    table["year"] = draw.integers(2007, 2010, 360)
    islands = np.array([["Tor", "Dre", "Bis"], ["Bis", "Bis", "Bis"], ["Dre", "Dre", "Tor"]])
    number = pd.Series(species).map({"Adela": 0, "Gento": 1, "Chin": 2})
    table["island"] = islands[number, draw.integers(0, 3, 360)]
    table["sex"] = draw.choice(["male", "female"], 360)
    for name in (*NUMBERS[:3], "sex"):
        table.loc[draw.random(360) < 0.03, name] = None
    table.to_csv(path, index=False, na_rep="NA")
    return pd.read_csv(path)


def test_a_table_of_birds_from_file_to_report(tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.setenv("MGAUDIT_CACHE", str(tmp_path / "cache"))
    table = write_birds(tmp_path / "birds.csv")
    dataset = load(f"csv:{tmp_path}/birds.csv#species", None, np.random.default_rng(0))
    train = np.array([int(origin.removeprefix("row ")) - 1 for origin in dataset.origins])
    test = np.setdiff1d(np.arange(360), train)
    arguments = ["run", "--dataset", f"csv:{tmp_path}/birds.csv#species", "--target", "mlp"]
    small = ["--models", "4", "--no-dp", "--no-plain", "--kappa", "0.01", "--jobs", "1", "--quiet"]
    done = CliRunner().invoke(app, [*arguments, *small, "--out", str(tmp_path / "runs")])
    assert done.exit_code == 0, done.output
    (folder,) = (tmp_path / "runs").iterdir()
    assert (folder / "report.html").exists()
    accuracy = mgaudit.Result.read(folder).record.studies[0].arms[0].known_accuracy
    inputs = table.drop(columns="species").astype({"sex": object}).fillna({"sex": "missing"})
    features = make_column_transformer(
        (SimpleImputer(strategy="median", add_indicator=True), NUMBERS), (OneHotEncoder(), WORDS)
    )
    accuracies = []
    for seed in range(8):  # each model trains on half of the training rows, as those of mgaudit
        half = np.random.default_rng(seed).permutation(train)[: len(train) // 2]
        pipeline = make_pipeline(features, StandardScaler(), LogisticRegression())
        pipeline.fit(inputs.iloc[half], table.species[half])
        accuracies.append(pipeline.score(inputs.iloc[test], table.species[test]))
    assert 0.75 < np.mean(accuracies) < 0.97  # neither trivial nor perfect
    assert accuracy.low <= np.mean(accuracies) <= accuracy.high
