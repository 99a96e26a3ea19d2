"""Which figures, theorems and open questions of the paper are reproduced, and how far.

Of the paper's 10 figures and 73 numbered statements, the texts that we have give the captions of
five figures, the statements of two theorems in part and the numbers of a dozen others. The authors'
page numbers the loss decomposition 4.1, the paper 4.2.
"""

from mgaudit.papers.paper import Coverage

NOT_IN_THE_TEXTS = "the texts that we have give the number alone, not the statement"

FIGURES = (
    Coverage(
        "Fig. 1a",
        "the smoothed activation z Φ(z / s) of the proofs against the ReLU, for several s",
        "reproduced",
        ("fig1a",),
    ),
    Coverage(
        "Fig. 1b",
        "the mean of a masked ReLU in closed form against draws of masks",
        "partly",
        ("fig1b", "fig1a"),
        "the paper fixes z at about 0.77 and varies κ, we vary z for several s",
    ),
    Coverage(
        "Fig. 2",
        "exact mean and proxy against draws for a fixed κ, with their difference near z = 0",
        "partly",
        ("fig2", "fig1a"),
        "the inputs and weights of the paper are not known to us; ours are images",
    ),
    Coverage(
        "Fig. 3a",
        "loss along training for several κ, n = 500, d = 20, m = 100",
        "partly",
        ("fig3a",),
        "the sizes are those of the paper, its data are not known to us",
    ),
    Coverage(
        "Fig. 3b",
        "the same training by several clients, for several κ and numbers of local steps",
        "partly",
        ("fig3b",),
        "the paper's numbers of clients and of local steps are not known to us",
    ),
    Coverage(
        "Fig. 4",
        "test accuracy on CIFAR-10 against κ, for an MLP and a CNN",
        "partly",
        ("fig4",),
        "smaller networks, fewer images and epochs, and no dropout or batch norm",
    ),
    Coverage(
        "Fig. 5",
        "success of attacks on the MLP and the CNN against κ",
        "partly",
        ("fig5",),
        "networks as in Fig. 4; the paper has one attack, we have three",
    ),
    Coverage(
        "Fig. 6 to 10",
        "unknown to us",
        "not",
        (),
        "the texts that we have say that there are five more figures, and not what they show",
    ),
)
STATEMENTS = (
    Coverage(
        "Definition 4.1",
        "the quantities φ_max, ψ_max, B_y, R_u and R_w of Theorem 4.2",
        "partly",
        ("thm42-training",),
        "the texts that we have name them and do not define them: we compute our reading of B_y, "
        "R_u, R_w and φ_max, and not ψ_max; that this definition has the number 4.1 is our guess",
    ),
    Coverage(
        "Theorem 4.2",
        "the expected loss as smoothed loss, regulariser and rest (4.1 on the authors' page)",
        "partly",
        ("thm42", "thm42-training"),
        "all terms are exact and the condition is checked; the paper's bound on the rest is not in "
        "the texts that we have",
    ),
    Coverage("Remarks 4.3 to 4.6", "unknown to us", "not", (), NOT_IN_THE_TEXTS),
    Coverage("Lemmas 4.7 and 4.8", "unknown to us", "not", (), NOT_IN_THE_TEXTS),
    Coverage("Theorem 4.9", "unknown to us", "not", (), NOT_IN_THE_TEXTS),
    Coverage("Remark 4.10", "unknown to us", "not", (), NOT_IN_THE_TEXTS),
    Coverage(
        "Theorem 5.1",
        "descent with a biased gradient under relaxed smoothness",
        "partly",
        ("thm51", "other-biases"),
        "its constants and its relaxed smoothness are not in the texts that we have; we test the "
        "standard bound with measured constants, for masks and for five other perturbations",
    ),
    Coverage(
        "Statements 5.2 to 5.4",
        "unknown to us",
        "not",
        (),
        "the texts that we have do not mention them; the numbers of the theorems imply them",
    ),
    Coverage(
        "Theorem 5.5",
        "linear convergence to a ball that κ controls",
        "partly",
        ("thm55", "thm51", "fig3a", "fig3b"),
        "the formula of the radius is not in the texts that we have; we measure rate and radius "
        "over κ, width, number of examples and learning rate",
    ),
    Coverage(
        "Further statements",
        "about 60 remarks, lemmas and theorems, most of them in the appendix",
        "not",
        (),
        "the texts that we have count them alone",
    ),
)
OPEN = "the paper leaves it open; our answer is an experiment, not a proof"
OPEN_QUESTIONS = (
    Coverage(
        "Open: depth",
        "whether the results hold for deep networks",
        "partly",
        ("depth", "open-questions"),
        f"{OPEN}, for depths 2 to 6",
    ),
    Coverage(
        "Open: large κ",
        "whether the results hold for strong masks",
        "partly",
        ("thm55", "open-questions"),
        f"{OPEN}, for κ up to 3",
    ),
    Coverage(
        "Open: correlated masks",
        "masks that are not independent between steps, such as one mask on a device",
        "partly",
        ("correlated-masks", "open-questions"),
        OPEN,
    ),
    Coverage(
        "Open: formal differential privacy",
        "whether masks give a guarantee of privacy",
        "partly",
        ("open-questions",),
        "no guarantee is known; attacks under masks are compared with attacks under DP-SGD",
    ),
)
COVERAGE = (*FIGURES, *STATEMENTS, *OPEN_QUESTIONS)
