"""What was done, in words made from the settings and results: nothing is claimed that was not run."""

from collections.abc import Mapping

from mgaudit.reports.arrays import Arrays
from mgaudit.reports.results import StudyResult
from mgaudit.reports.section import Facts, Section, Words
from mgaudit.reports.verdict import MOST_NAMED

# The training settings that the facts put into words of their own; others are listed by name.
WORDED = frozenset(
    {
        "epochs",
        "batch_size",
        "optimizer",
        "learning_rate",
        "momentum",
        "weight_decay",
        "augment",
        "precision",
        "loss",
        "schedule",
        "clients",
        "local_steps",
    }
)


def method(study: StudyResult) -> list[str]:
    """Returns the paragraphs of the section on method."""
    models, examples = study.settings["models"], study.dataset.examples
    mounted = {attack.attack: attack.source for attack in study.arms[0].attacks}
    attacks = "; ".join(f"{name} ({source})" for name, source in mounted.items())
    paragraphs = [
        f"For each arm {models} models were trained. Whether a model trains on an example is an independent fair coin "
        f"for each of the {examples} examples, the same coins in every arm, so a model has about {examples // 2} "
        "training examples. Inputs are standardised per channel (vectors: per feature) with the statistics of all "
        "examples, which count as public. Noise on inputs acts on standardised ones; all noise acts in training only.",
        _threat_model(study),
        f"Attacks: {attacks}. A higher score means member. AUC counts ties half; a TPR is the largest whose FPR does "
        "not exceed the level, without interpolation. Advantage (TPR − FPR) and balanced accuracy are at a threshold "
        "chosen on the other half of the examples.",
        "Intervals are 95 %, for new targets and new examples together: a two-way analysis of variance over targets "
        "and bootstrap resamples of the examples, on the logit scale. Differences are paired by target and example. "
        f"Test accuracy is over the {study.dataset.test_examples} test examples, on which no model trained.",
        *_comparisons(study),
        f"ε at least: a target is one run with all examples for canaries. The {study.arms[0].guesses // 2} with the "
        "highest scores are guessed to be members, as many with the lowest not to be, and the number of right guesses "
        "bounds the ε of its training from below (Steinke, Nasr and Jagielski 2023, with the f-DP analysis of "
        "Mahloujifar, Melis and Chaudhuri 2024). Shown is the median of the targets' bounds at 97.5 %, which is a "
        "bound at 95 % however they depend on one another. Only the first attack may raise an alarm.",
        "Limits: an attack's success bounds privacy loss from below only. That these attacks fail does not prove that "
        "others would. The intervals do not cover the choice of data, architecture or training settings.",
    ]
    private = [arm for arm in study.arms if arm.claim is not None]
    if private:
        paragraphs.append(
            "DP-SGD's ε is an upper bound by the accountant for the steps really taken, for one model and one example "
            "added or removed. It takes the noise generator to be ideal; torch's is not cryptographic."
        )
    return paragraphs


def _comparisons(study: StudyResult) -> list[str]:
    """Returns how arms were compared, as far as they were."""
    found = study.analysis
    paragraphs = []
    if found.changes:
        paragraphs.append(
            "Significance: p-values invert the paired intervals, and Holm's method corrects them for all arms and "
            "attacks with the same metric."
        )
    if found.matched or found.dp_equivalent:
        paragraphs.append(
            "Interpolation: between neighbouring strengths of a scheme, accuracy and attack success are taken to "
            "lie on straight lines. Intervals are to first order (delta method) in every target and every resample, "
            "so that the error of the accuracies counts too; those of DP-equivalent ε invert the test of equal AUC. "
            "The choice of the strengths that were run is not in them."
        )
    return paragraphs


def _threat_model(study: StudyResult) -> str:
    queries = study.queries
    asked = (
        "once for each example"
        if queries.name == "plain"
        else f"several times for each example, the same questions for every model ({queries.label}; an arm without "
        "noise on its inputs is asked once where the queries are draws of the training noise),"
        if queries.name == "mask" and "kappa" not in queries.options
        else f"several times for each example, the same questions for every model ({queries.label}),"
    )
    text = f"Threat model: the adversary queries the target {asked} and sees its logits."
    needs = {need for attack in study.arms[0].attacks for need in attack.needs}
    text += "".join(f" {sentence}" for sentence in study.extras.values())
    if "shadows" in needs:
        text += (
            " It knows the data distribution, the architecture and the training procedure, noise included, and has "
            f"trained {_shadows(study)} shadow models with them (attacks that use none ignore them)."
        )
        if any(attack.knowledge == "naive" for arm in study.arms for attack in arm.attacks):
            text += " A naive adversary asks the same, but has the noise-free arm's models for shadows."
    if "population" in needs:
        text += " The population is the test split, on which no model trained."
    return text + " Every model is the target in turn, with the others as its shadows."


def _shadows(study: StudyResult) -> str:
    """Returns the number of shadows, the least and the most where models diverged."""
    numbers = sorted({len(attack.targets) - 1 for arm in study.arms for attack in arm.attacks})
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _rates(study: StudyResult) -> dict[float, str]:
    """Returns who trains at each learning rate."""
    labels: dict[float, list[str]] = {}
    for arm in study.arms:
        labels.setdefault(arm.learning_rate, []).append(arm.label)
    if len(labels) == 1:
        return dict.fromkeys(labels, "all arms")
    return {rate: ", ".join(who) if len(who) <= MOST_NAMED else f"{len(who)} arms" for rate, who in labels.items()}


def _clients(study: StudyResult) -> list[tuple[str, str]]:
    """Returns how the models were trained by several clients, if they were."""
    training = study.settings["training"]
    clients, steps = training.get("clients", 1), training.get("local_steps", 1)
    if clients == 1:
        return []
    told = f"{clients}, weights averaged after every {'step' if steps == 1 else f'{steps} local steps'}"
    central = any(arm.claim is not None for arm in study.arms)
    return [("Clients", told + ("; DP-SGD has one trainer who holds all examples" if central else ""))]


def _other_settings(training: Mapping[str, object]) -> str:
    """Returns the training settings that are in use and have no words of their own below, each behind a comma."""
    used = {key: value for key, value in training.items() if key not in WORDED and value not in (None, "none", 0)}
    return "".join(f", {key.replace('_', ' ')}{'' if value is True else f' {value}'}" for key, value in used.items())


def facts(study: StudyResult) -> list[tuple[str, str]]:
    """Returns what was run, by name."""
    settings, provenance, times = study.settings, study.provenance, study.times
    training = settings["training"]
    rates = ", ".join(f"{rate:g} ({who})" for rate, who in _rates(study).items())
    reused = sum(times.models_reused.values())
    return [
        ("Target", study.target.label),
        (
            "Data",
            f"{study.dataset.name}: {study.dataset.examples} examples of shape {study.dataset.input_shape}, "
            f"{len(study.dataset.classes)} classes; {study.dataset.test_examples} test examples",
        ),
        ("Data SHA-256", study.dataset.sha256),
        (
            "Training",
            f"{training['epochs']} epochs, batches of {training['batch_size']}, {training['optimizer']}"
            + (f" with momentum {training['momentum']:g}" if training["optimizer"] == "sgd" else "")
            + f", weight decay {training['weight_decay']:g} beside what a scheme sets, "
            + ("constant rate " if training.get("schedule") == "constant" else "cosine to 0 from rate ")
            + rates
            + (", squared loss" if training.get("loss") == "squared" else "")
            + (f", images augmented by {training['augment']}" if training["augment"] != "none" else "")
            + _other_settings(training)
            + f"; {training['precision']}; stacks of {settings['stack']}"
            + (" (DP-SGD: float32, 1)" if any(arm.claim is not None for arm in study.arms) else ""),
        ),
        *_clients(study),
        ("Seed", str(settings["seed"])),
        ("Device", f"{provenance.device} ({provenance.processor})"),
        ("Versions", ", ".join(f"{name} {version}" for name, version in provenance.versions.items())),
        ("Training code SHA-256", provenance.code_sha256),
        ("Started", times.started),
        (
            "Time",
            f"{times.seconds:.0f} s; training took {sum(times.training_seconds.values()):.0f} s of one core"
            + (f", {reused} models came from the cache" if reused else ""),
        ),
    ]


def method_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns what was done, in words."""
    return Section.of("Method", Words(method(study)))


def facts_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns what was run, by name."""
    return Section.of("What was run", Facts(facts(study)))
