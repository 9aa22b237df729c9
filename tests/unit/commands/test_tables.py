import pytest

from service.commands.tables import dimension, number, plain


@pytest.mark.parametrize(
    ("wanted", "told"),
    [
        ({"type": "float", "low": 1e-5, "high": 1.0, "log": True, "step": None, "points": 9}, "1e-05 to 1 (log, points 9)"),
        ({"type": "int", "low": 2, "high": 20, "log": False, "step": 1, "points": None}, "2 to 20"),
        ({"type": "int", "low": 2, "high": 20, "log": False, "step": 6, "points": None}, "2 to 20 (step 6)"),
        ({"type": "categorical", "choices": [16, "adam", 0.123456]}, "16 | adam | 0.1235"),
        (0.9, "= 0.9"),
    ],
)
def test_a_dimension_is_told_shortly(wanted: object, told: str) -> None:
    assert dimension(wanted) == told


def test_what_would_steer_the_terminal_is_taken_out_of_anybodys_text() -> None:
    assert plain("a\x1b[31mred\x07\u202e [bold]name\nnext").plain == "a?[31mred?? [bold]name\nnext"


def test_a_missing_number_is_a_dash() -> None:
    assert (number(None), number(0.1234567), number(3)) == ("-", "0.1235", "3")
