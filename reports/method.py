"""What was done, in words built from settings and results: only what was run is described."""

from collections.abc import Mapping
from typing import Any

from mgaudit.reports import outputs_method
from mgaudit.reports.arrays import Arrays
from mgaudit.reports.plain_arm import the_plain_arm
from mgaudit.reports.results import AttackResult, StudyResult
from mgaudit.reports.section import Facts, Section, Words
from mgaudit.reports.tables import has_one_target
from mgaudit.reports.verdict import MOST_NAMED

# The training settings that `facts` words itself; others are listed by name.
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
INTERVALS = (
    "Intervals: the 95 % intervals cover both sources of variation, other targets and other "
    "{units}. The part of the {units} comes from bootstrap resamples. {models} Differences are "
    "paired by target and example. Test accuracy is the accuracy on the {test_examples} test "
    "examples, on which no model trained."
)
LIMITS = (
    "Limits: an attack only gives a lower bound on privacy loss. If an attack fails, another "
    "attack may still succeed. The numbers are for these data, this architecture and these "
    "training settings; the intervals do not cover their choice."
)
ACCOUNTING = (
    "Accounting: the ε of DP-SGD is {bound} for the steps that were taken, "
    "for one model and one example added or removed. This bound assumes an ideal noise generator; "
    "the generator of torch is not cryptographic."
)
ONE_BOUND = "the accountant's upper bound"
TWO_BOUNDS = "the smaller of two valid upper bounds, PRV and PLD,"
MEDIAN_OF_EARLIER_VERSIONS = (
    "the median of the targets' own bounds at 97.5 %, computed by an earlier version"
)
SIGNIFICANCE = (
    "Significance: a p-value is below 0.05 exactly if the paired 95 % interval excludes 0. Holm's "
    "method corrects the p-values for all arms and attacks with the same metric."
)
VERDICT = (
    "Verdict: the attack, the metrics and the smallest effects that matter ({margins}) were fixed "
    "beforehand. Every outcome but undecided is a statement that intervals prove. Their level is "
    "{level:.2f} %, so that all limits that the verdicts of this study read hold together with "
    "probability 95 % (Bonferroni's method)."
)
SMALLEST_LEAKS = (
    "Smallest leaks: a leak is proved if the interval of AUC or TPR, at a level of {level:.2f} %, "
    "is above guessing. For an arm without a proven leak, the report gives the expected AUC and "
    "the expected TPR for which the interval would be above guessing in {power:g} % of audits. "
    "Each is computed from the standard errors of the arm's own intervals, and from the variance "
    "that a leak adds because it differs between examples (0.3 times the excess over guessing, "
    "divided by the number of examples; measured for stacked and RMIA, and higher for LiRA). With "
    "two to seven targets, whose standard errors are imprecise, it is no smaller than the value "
    "that is planned from the numbers of targets and examples."
)
INTERPOLATION = (
    "Interpolation: accuracy and attack success are assumed linear between neighbouring strengths "
    "of a scheme. We compute each interval with the delta method, for every target and every "
    "resample. The intervals therefore include the error of the accuracies. The interval of the "
    "DP-equivalent ε contains all ε for which the test of equal AUC does not reject. The intervals "
    "do not cover the choice of the strengths that were run."
)
SHADOW_KNOWLEDGE = (
    " The adversary knows the data distribution, the architecture and the training procedure, "
    "including the noise, and has trained {shadows} shadow models with this knowledge (some "
    "attacks use no shadow models)."
)
FUNCTION_SHADOWS = (
    " The adversary knows the data distribution and the training function of the arm, and has "
    "trained {shadows} shadow models with it (some attacks use no shadow models)."
)
GIVEN_SHADOWS = (
    " The adversary knows which examples the other {shadows} models trained on, and uses them as "
    "shadow models (some attacks use no shadow models)."
)
NAIVE = (
    " A naive adversary sends the same queries, but its shadow models are the models of {plain}."
)
THROUGH_NOISE = (
    " Where the noise is on the inputs, the attack {attack} is repeated with a second query: the "
    "mean of the logits over {draws} draws of this noise."
)
POPULATION = " The population is the test split, on which no model trained."
EVERY_MODEL = " Every model is the target in turn"
OTHER_MODELS = ", and the other models are its shadow models"

STACKED = (
    " The attack stacked is a classifier on the statistics of LiRA, RMIA and BaVarIA that is "
    "trained on the shadow models. With fewer than 4 of them, its score is the mean of the normal "
    "scores of BaVarIA and RMIA (offline: the score of offline RMIA). Where there is a population, "
    "data on which no model trained, it also uses the logits without the drift of classes that is "
    "measured there."
)


def method(study: StudyResult) -> list[str]:
    """Returns the paragraphs of the section on method."""
    trained = study.models_from == "training"
    ready_made = study.arms[0].attacks[0].choice.name == "scores"
    paragraphs = [
        _design(study) if trained else outputs_method.design(study),
        *([threat_model(study)] if ready_made else [_all_adversaries(study), _attacks(study)]),
        INTERVALS.format(
            test_examples=study.dataset.test_examples,
            units=_units(study),
            models=outputs_method.part_of_models(study),
        )
        if trained
        else outputs_method.intervals(study),
        *_comparisons(study),
        _lower_bound(study),
        limits(study),
    ]
    if _has_claim(study):
        bound = TWO_BOUNDS if _has_both(study) else ONE_BOUND
        paragraphs.append(ACCOUNTING.format(bound=bound))
    return paragraphs


def _has_both(study: StudyResult) -> bool:
    """Returns whether bounds by both accountants were compared."""
    claims = [arm.claim for arm in study.arms if arm.claim is not None]
    return any(claim.epsilon_prv is not None and claim.epsilon_pld is not None for claim in claims)


def _design(study: StudyResult) -> str:
    models, examples = study.settings["models"], study.dataset.examples
    return (
        f"Design: for each arm, {models} models were trained. An independent fair coin for each of "
        f"the {examples} examples decides whether a model trains on it, so a model has about "
        f"{examples // 2} training examples.{_copies(study)}{_planted(study)} The coins are the "
        "same in every arm. Inputs are "
        "standardised per channel (vectors: per feature) with the statistics of all examples, "
        "which count as public. Noise on inputs is added after standardisation. All noise is added "
        "in training only."
    )


def _copies(study: StudyResult) -> str:
    """Returns which examples share a coin; "" if none do."""
    shared = study.dataset.shared_coins
    return f" {shared} of the examples are exact copies, which share one coin." if shared else ""


def _planted(study: StudyResult) -> str:
    """Returns how many examples are canaries; "" if none are."""
    attack = study.arms[0].canaries
    if attack is None:
        return ""
    return (
        f" {attack.canaries.examples} of the examples are {attack.kind} canaries. The statistics "
        "for the standardisation are those of the data without canaries."
    )


def _attacks(study: StudyResult) -> str:
    sources = {attack.attack: attack.source for attack in study.arms[0].attacks}
    attacks = "; ".join(f"{name} ({source})" for name, source in sources.items())
    is_stacked = any(attack.choice.name == "stacked" for attack in study.arms[0].attacks)
    return (
        f"Attacks: {attacks}.{STACKED if is_stacked else ''} A higher score means member. The AUC "
        "counts ties as half. The TPR at an FPR is the largest true positive rate whose false "
        "positive rate does not exceed this FPR, without interpolation. Advantage (TPR − FPR) and "
        "balanced accuracy are measured at a threshold that was chosen on the other half of the "
        "examples."
    )


def _lower_bound(study: StudyResult) -> str:
    if study.arms[0].delta is None:
        return outputs_method.no_lower_bound(study)
    return (
        f"ε at least: a lower bound on the ε of training, at 95 %. {_canaries(study)} are "
        "canaries. The attack guesses that those with the highest scores are members, and that as "
        "many with the lowest scores are non-members. The number of correct guesses gives a bound "
        "(Steinke, Nasr and Jagielski 2023, with the f-DP analysis of Mahloujifar, Melis and "
        f"Chaudhuri 2024). {_rules(study)} The verdict reports an alarm if this bound is above the "
        f"ε that is claimed for DP-SGD{_correction(study)}. Only the first attack counts, because "
        "the maximum of several bounds is not a valid bound."
    )


def _correction(study: StudyResult) -> str:
    """Returns how the bound of an alarm is corrected; "" where there is nothing to correct."""
    bounds = [attack.alarm_bound for arm in study.arms for attack in arm.attacks]
    claims = max((bound.claims for bound in bounds if bound is not None), default=1)
    if claims == 1:
        return ""
    return (
        f", at a significance of 5 % divided by {claims}, the number of claims in the run, so that "
        "a run whose claims all hold has an alarm with at most 5 % probability"
    )


def _rules(study: StudyResult) -> str:
    """Returns by which rule the bounds of each attack are computed from all targets."""
    attacks: dict[str, dict[str, None]] = {}
    for arm in study.arms:
        for attack in arm.attacks:
            proof = attack.epsilon_proof
            rule = MEDIAN_OF_EARLIER_VERSIONS if proof is None else proof.rule
            attacks.setdefault(rule, {})[attack.attack] = None
    if len(attacks) == 1:
        return f"The bound from all targets is {next(iter(attacks))}."
    listed = [f"for {', '.join(names)}: {rule}." for rule, names in attacks.items()]
    return f"The bound from all targets is, {' And '.join(listed)}"


def _canaries(study: StudyResult) -> str:
    dataset = study.dataset
    if not dataset.shared_coins:
        return "All examples"
    return f"The {dataset.examples - dataset.shared_coins} examples that have a coin of their own"


def _units(study: StudyResult) -> str:
    """Returns what intervals resample, in words."""
    dataset = study.dataset
    if dataset.grouped > dataset.shared_coins:
        return "examples (copies and near-duplicates together)"
    return "examples (exact copies together)" if dataset.shared_coins else "examples"


def _comparisons(study: StudyResult) -> list[str]:
    """Returns how arms were compared, for the comparisons that the study has."""
    analysis = study.analysis
    paragraphs = [_verdict(study)] if analysis.verdicts else []
    if study.smallest_leaks:
        leak = study.smallest_leaks[0]
        values = {"level": leak.level * 100, "power": leak.power * 100}
        paragraphs.append(SMALLEST_LEAKS.format(**values))
    if analysis.changes:
        paragraphs.append(SIGNIFICANCE)
    if analysis.matched or analysis.dp_equivalent:
        paragraphs.append(INTERPOLATION)
    return paragraphs


def _verdict(study: StudyResult) -> str:
    first = study.analysis.verdicts[0]
    margins = f"{first.auc.margin:g} of AUC"
    if first.tpr is not None:
        reference = "guessing" if first.against == "chance" else the_plain_arm(study)
        margins += f"; {first.tpr.margin * 100:g} % of the TPR of {reference}"
    return VERDICT.format(margins=margins, level=first.level * 100)


def threat_model(study: StudyResult) -> str:
    """Returns what the adversary of the first attack sees and knows."""
    if study.arms[0].attacks[0].choice.name == "scores":
        return outputs_method.READY_MADE
    text = f"Threat model: the adversary queries the target {_querying(study)} and sees its logits."
    text += "".join(f" {sentence}" for sentence in study.extras.values())
    if any("shadows" in attack.needs for attack in study.arms[0].attacks):
        known = {"outputs": GIVEN_SHADOWS, "function": FUNCTION_SHADOWS}
        words = known.get(study.models_from, SHADOW_KNOWLEDGE)
        text += words.format(shadows=_shadows(study, _all_attacks(study)))
    return text


def limits(study: StudyResult) -> str:
    """Returns what the audit cannot show."""
    return LIMITS if study.models_from == "training" else outputs_method.LIMITS


def _all_adversaries(study: StudyResult) -> str:
    """Returns the threat model with that of all other attacks."""
    needs = {need for attack in study.arms[0].attacks for need in attack.needs}
    text = threat_model(study)
    if any(attack.adversary == "naive" for attack in _all_attacks(study)):
        text += NAIVE.format(plain=the_plain_arm(study))
    if study.analysis.through_noise:
        draws = study.analysis.through_noise[0].draws
        text += THROUGH_NOISE.format(attack=study.analysis.attack, draws=draws)
    if "population" in needs:
        text += POPULATION
    if has_one_target(study):
        return text
    text += EVERY_MODEL
    if "shadows" in needs:
        text += OTHER_MODELS
    return f"{text}."


def _querying(study: StudyResult) -> str:
    """Returns how often each model is queried."""
    queries = study.queries
    if queries.name == "plain":
        return "once for each example"
    draws_training_noise = queries.name == "mask" and "kappa" not in queries.options
    exception = ""
    if draws_training_noise:
        exception = (
            "; an arm without noise on its inputs is queried once if the queries are draws of "
            "the training noise"
        )
    return (
        "several times for each example, with the same queries for every model "
        f"({queries.label}{exception}),"
    )


def _all_attacks(study: StudyResult) -> list[AttackResult]:
    return [attack for arm in study.arms for attack in arm.attacks]


def _shadows(study: StudyResult, attacks: list[AttackResult]) -> str:
    """Returns the number of shadow models, as a range if models diverged."""
    if study.models_from == "outputs":
        return str(study.settings["models"] - 1)
    if study.models_from == "checkpoint":
        return str(study.settings["models"] - len(study.arms[0].diverged))
    numbers = sorted({len(attack.targets) - 1 for attack in attacks})
    if len(numbers) == 1:
        return str(numbers[0])
    return f"{numbers[0]} to {numbers[-1]}"


def _has_claim(study: StudyResult) -> bool:
    return any(arm.claim is not None for arm in study.arms)


def _rates(study: StudyResult) -> dict[float, str]:
    """Returns the arms that train at each learning rate."""
    labels: dict[float, list[str]] = {}
    for arm in study.arms:
        if arm.learning_rate is not None:
            labels.setdefault(arm.learning_rate, []).append(arm.label)
    if len(labels) == 1:
        return dict.fromkeys(labels, "all arms")
    return {rate: _name_arms(arms) for rate, arms in labels.items()}


def _name_arms(labels: list[str]) -> str:
    return ", ".join(labels) if len(labels) <= MOST_NAMED else f"{len(labels)} arms"


def _clients(study: StudyResult) -> list[tuple[str, str]]:
    """Returns how several clients trained the models; empty for a single trainer."""
    training = study.settings["training"]
    clients, steps = training.get("clients", 1), training.get("local_steps", 1)
    if clients == 1:
        return []
    period = "step" if steps == 1 else f"{steps} local steps"
    text = f"{clients}, weights averaged after every {period}"
    if _has_claim(study):
        text += "; DP-SGD has one trainer that has all examples"
    return [("Clients", text)]


def _training(study: StudyResult) -> str:
    """Returns the training settings in use, separated by commas."""
    training = study.settings["training"]
    is_constant = training.get("schedule") == "constant"
    schedule = "constant rate" if is_constant else "cosine to 0 from rate"
    rates = ", ".join(f"{rate:g} ({arms})" for rate, arms in _rates(study).items())
    text = f"{training['epochs']} epochs, batches of {training['batch_size']}"
    text += f", {training['optimizer']}"
    if training["optimizer"] == "sgd":
        text += f" with momentum {training['momentum']:g}"
    text += f", weight decay {training['weight_decay']:g} in addition to a scheme's own"
    text += f", {schedule} {rates}"
    if training.get("loss") == "squared":
        text += ", squared loss"
    if training["augment"] != "none":
        text += f", images augmented by {training['augment']}"
    text += _other_settings(training)
    text += f"; {training['precision']}; stacks of {study.settings['stack']}"
    if _has_claim(study):
        text += " (DP-SGD: float32, 1)"
    if any(arm.claim is not None and arm.claim.training is not None for arm in study.arms):
        text += "; DP-SGD has settings of its own, see the notes of the main table"
    return text


def _other_settings(training: Mapping[str, Any]) -> str:
    """Returns the training settings in use that `_training` does not word, each after a comma."""
    text = ""
    for key, value in training.items():
        if key in WORDED or value in (None, "none", 0):
            continue
        name = key.replace("_", " ")
        text += f", {name}" if value is True else f", {name} {value}"
    return text


def facts(study: StudyResult) -> list[tuple[str, str]]:
    """Returns what was run, as pairs of a name and a value."""
    provenance = study.provenance
    versions = ", ".join(f"{name} {version}" for name, version in provenance.versions.items())
    return [
        ("Target", study.target.label),
        ("Data", _data(study)),
        ("Data SHA-256", study.dataset.sha256),
        *(("About the data", note) for note in study.dataset.notes),
        *_about_training(study),
        ("Seed", str(study.settings["seed"])),
        ("Device", f"{provenance.device} ({provenance.processor})"),
        ("Versions", versions),
        ("Training code SHA-256", provenance.code_sha256),
        ("Started", study.times.started),
        ("Time", _time(study)),
    ]


def _about_training(study: StudyResult) -> list[tuple[str, str]]:
    if study.models_from in ("outputs", "function"):
        return outputs_method.training_facts(study)
    if study.models_from == "checkpoint":
        about = outputs_method.checkpoint_facts(study)
        return [*about, ("Training of shadow models", _training(study)), *_clients(study)]
    return [("Training", _training(study)), *_clients(study)]


def _data(study: StudyResult) -> str:
    dataset = study.dataset
    examples = f"{dataset.examples} examples"
    name = "" if dataset.name == examples else f"{dataset.name}: "
    shape = f" of shape {dataset.input_shape}" if dataset.input_shape else ""
    classes = f", {len(dataset.classes)} classes" if dataset.classes else ""
    return f"{name}{examples}{shape}{classes}; {dataset.test_examples} test examples"


def _time(study: StudyResult) -> str:
    times = study.times
    training = sum(times.training_seconds.values())
    reused = sum(times.models_reused.values())
    text = f"{times.seconds:.0f} s; training took {training:.0f} s of one core"
    if reused:
        text += f", {reused} models came from the cache"
    return text


def method_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the section on method."""
    return Section.of("Method", Words(method(study)))


def facts_section(study: StudyResult, arrays: Arrays) -> Section:
    """Returns the section that lists what was run."""
    return Section.of("What was run", Facts(facts(study)))
