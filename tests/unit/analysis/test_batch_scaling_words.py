"""The fitted power in words."""

from service.analysis.words.batch_scaling import because
from service.domain.answer import IntervalView


def test_a_power_that_rounds_to_zero_has_no_sign() -> None:
    said = because(-0.001, IntervalView(low=-0.19, high=-0.004), linear=False, square_root=False)
    assert "to the power of 0.00 (-0.19 to 0.00)" in said
