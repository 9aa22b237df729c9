"""The Unicode Common Locale Data Repository (CLDR, https://cldr.unicode.org), as the package babel has it, without a download."""

from typing import Any

from objectives.contract import DataProblem


def locale(language: str, for_what: str) -> Any:
    """The babel.Locale of a language. for_what: the data set that needs it, for the message that babel is not installed."""
    try:
        from babel import Locale
    except ImportError as error:
        raise DataProblem(f"{for_what} needs babel: pip install 'stride-lr[text]'.", for_every_trial=True) from error
    return Locale.parse(language)
