"""How much each searched parameter matters: variance-based sensitivity of the response surface, over the space searched.

First-order and total-order indices (Sobol' 2001, 10.1016/S0378-4754(00)00270-6, estimated as in Saltelli et al. 2010,
10.1016/j.cpc.2009.09.018): fANOVA (Hutter et al. 2014) computes the same of a random forest.
"""

from dataclasses import dataclass

import numpy as np

from service.analysis.model.candidates import Search
from service.analysis.model.encoding import Array
from service.analysis.model.surface import Surface

N_SAMPLES = 512
"""Of each of the matrices of samples; a power of two."""


@dataclass(frozen=True, kw_only=True)
class Influence:
    """Parts of the variance of the warped expected cost, between 0 and 1."""

    alone: float
    """First-order index: what is explained by the parameter alone."""
    total: float
    """Total-order index: that, and all interactions with other parameters."""


def influences(search: Search, surface: Surface, highest: float) -> list[Influence] | None:
    """For the learning rate and each other parameter in the order of the axes. None where the surface is flat.

    highest: log10 of the highest rate counted: what the surface says of rates at which trials diverge is no measurement.
    """
    from scipy.stats import sobol_indices, uniform  # slow to import, as for `low_discrepancy`

    def expected(parts: Array) -> Array:
        """Of points as parts of the ranges, (parameters, ..., n)."""
        flat = parts.reshape(len(parts), -1).T
        mean, _ = surface.roughly(search.at(flat, highest))
        shaped: Array = mean.reshape(1, *parts.shape[1:])
        return shaped

    n_parameters = search.n_parameters
    spread = expected(np.random.default_rng(0).random((n_parameters, N_SAMPLES)))
    if float(np.ptp(spread)) < 1e-9:
        return None
    found = sobol_indices(func=expected, n=N_SAMPLES, dists=[uniform()] * n_parameters, rng=np.random.default_rng(0))
    alone = np.clip(found.first_order.ravel(), 0.0, 1.0)
    total = np.clip(found.total_order.ravel(), alone, 1.0)
    return [Influence(alone=float(a), total=float(t)) for a, t in zip(alone, total, strict=True)]
