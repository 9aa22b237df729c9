"""The objective that a command declares, with what was said about its parameters."""

import hashlib
import shlex
from collections.abc import Sequence
from pathlib import Path

from objectives.own_modules import CatalogProblem
from objectives.scripts.command import placeholders
from objectives.scripts.entry import RATE_SPACE, Asked, ScriptObjective, objective_of
from objectives.scripts.ranges import FORMS, as_float, written
from stride.arguments import RATES


def command_objective(
    line: str, folder: Path, params: Sequence[str], metric: str, asked: Asked, called: str | None = None
) -> ScriptObjective:
    """The objective of a command. params: each as one of FORMS. called: its name; None: that of its script, or of its program.

    Raises CatalogProblem, a sentence.
    """
    try:
        words, names = shlex.split(line), placeholders(line)
    except ValueError as error:
        raise CatalogProblem(f"the command {line!r} cannot be split into words: {error}") from None
    if not words:
        raise CatalogProblem("the command is empty")
    space = written(params)
    rates = [asked.learning_rate] if asked.learning_rate else [name for name in RATES if name in names]
    space.update({name: as_float(space[name]) for name in rates if name in space})
    for name in names:
        if name not in space:
            if name not in rates:
                raise CatalogProblem(f"it is not known what {{{name}}} may be: say it with --param, as {FORMS}")
            space[name] = RATE_SPACE
    description = {
        "kind": "command",
        "function": line,
        "name": called or _name(words, folder),
        "description": f"The command {line}",
        "space": space,
        "metric": metric,
        "direction": asked.direction or "minimize",
        "steps": asked.steps,
    }
    return objective_of(description, folder, hashlib.sha256(line.encode()).hexdigest(), asked)


def _name(words: Sequence[str], folder: Path) -> str:
    """That of the script, if one is named, else that of the program."""
    scripts = (Path(word).stem for word in words if Path(word).suffix and (folder / word).is_file())
    return next(scripts, Path(words[0]).name)
