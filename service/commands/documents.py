"""A job as its user wrote it: YAML or JSON, from a file or from standard input."""

import json
import re
import sys
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from service.errors import ConfigurationError

STANDARD_INPUT = "-"


def read_document(file: str) -> dict[str, Any]:
    """The document in `file`. Raises ConfigurationError."""
    name = "standard input" if file == STANDARD_INPUT else file
    try:
        text = sys.stdin.read() if file == STANDARD_INPUT else Path(file).read_text(encoding="utf-8")
        document = yaml.load(text, _Loader)  # noqa: S506  it builds plain values only
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"{name} is not UTF-8 text.") from error
    except _Repeated as error:
        raise ConfigurationError(f"{name}: {error}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{name} is neither YAML nor JSON: {_where(error)}.") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{name} holds no job: at least `objective: {{name: ...}}` is needed.")
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError) as error:  # a type that only YAML has, an infinity, a cycle of aliases
        raise ConfigurationError(f"{name} contains what JSON cannot represent: {str(error).lower()}.") from error
    return document


class _Repeated(yaml.YAMLError):
    """A key stands twice in one mapping: one of its values would be lost."""

    def __init__(self, key: yaml.ScalarNode, before: yaml.ScalarNode) -> None:
        lines = sorted({before.start_mark.line + 1, key.start_mark.line + 1})
        where = f"line {lines[0]}" if len(lines) == 1 else f"lines {lines[0]} and {lines[1]}"
        super().__init__(f"the key {key.value!r} is given twice, in {where}: give it once")


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: 1e-5 is a number there, and neither `no` nor a date is anything but text.

    Keys are text, as in JSON, and as they are written: `1` and `true` are two keys.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  as PyYAML declares it

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Raises _Repeated."""
        keys: dict[str, yaml.ScalarNode] = {}
        document: dict[Hashable, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key.start_mark)
            if (before := keys.setdefault(key.value, key)) is not key:
                raise _Repeated(key, before)
            document[key.value] = self.construct_object(value, deep=deep)
        return document


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _decimal(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    return int(str(loader.construct_scalar(node)))  # 010 is ten, not an octal eight


_Loader.add_constructor("tag:yaml.org,2002:int", _decimal)


def _where(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem}, in line {error.problem_mark.line + 1}"
    return str(error).splitlines()[0]
