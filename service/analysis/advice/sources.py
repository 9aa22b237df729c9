"""What the rules of advice rest on."""

from service.domain.advice import Source

_PLAYBOOK = "Godbole et al. 2023, Deep Learning Tuning Playbook"
_PLAYBOOK_LINK = "https://github.com/google-research/tuning_playbook#"

RANGE_ENDS = Source(
    title=f"{_PLAYBOOK}, Identifying bad search space boundaries", link=f"{_PLAYBOOK_LINK}identifying-bad-search-space-boundaries"
)
FEW_POINTS = Source(
    title=f"{_PLAYBOOK}, Not sampling enough points in the search space",
    link=f"{_PLAYBOOK_LINK}not-sampling-enough-points-in-the-search-space",
)
OVERFITTING = Source(
    title=f"{_PLAYBOOK}, Examining the training curves: problematic overfitting",
    link=f"{_PLAYBOOK_LINK}examining-the-training-curves",
)
LATE_VARIANCE = Source(
    title=f"{_PLAYBOOK}, Examining the training curves: step-to-step variance late in training",
    link=f"{_PLAYBOOK_LINK}examining-the-training-curves",
)
HOW_LONG = Source(
    title=f"{_PLAYBOOK}, Deciding how long to train",
    link=f"{_PLAYBOOK_LINK}deciding-how-long-to-train-when-training-is-not-compute-bound",
)
UNSTABLE = Source(
    title=f"{_PLAYBOOK}, Potential fixes for common instability patterns",
    link=f"{_PLAYBOOK_LINK}potential-fixes-for-common-instability-patterns",
)
CLIPPING = Source(title=f"{_PLAYBOOK}, Gradient clipping", link=f"{_PLAYBOOK_LINK}gradient-clipping")
NORMALIZATION = Source(
    title="Ioffe and Szegedy 2015, Batch Normalization, section 3.3: it keeps the scale of weights out of the gradients",
    link="https://arxiv.org/abs/1502.03167",
)
VANISHING = Source(
    title="Glorot and Bengio 2010, Understanding the difficulty of training deep feedforward neural networks",
    link="https://proceedings.mlr.press/v9/glorot10a.html",
)
SMALL_BATCHES = Source(
    title="McCandlish et al. 2018, An Empirical Model of Large-Batch Training, section 2.2",
    link="https://arxiv.org/abs/1812.06162",
)
SEEDS = Source(
    title="Bouthillier et al. 2021, Accounting for Variance in Machine Learning Benchmarks",
    link="https://arxiv.org/abs/2103.03098",
)
EARLY_ORDER = Source(
    title="Wu et al. 2018, Understanding Short-Horizon Bias in Stochastic Meta-Optimization",
    link="https://arxiv.org/abs/1803.02021",
)
