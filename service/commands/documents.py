"""A job as its user wrote it: YAML or JSON, from a file or from standard input."""

import json
import math
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
        content = sys.stdin.buffer.read() if file == STANDARD_INPUT else Path(file).read_bytes()
        document = yaml.load(content.decode(), _Loader)  # noqa: S506  it builds plain values only
    except OSError as error:
        raise ConfigurationError(f"{name} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(f"{name} is not UTF-8 text, in line {line}: save it as UTF-8.") from error
    except _Refused as error:
        raise ConfigurationError(f"{name}: {error}.") from error
    except (yaml.YAMLError, RecursionError) as error:
        raise ConfigurationError(f"{name} is neither YAML nor JSON: {_where(error)}.") from error
    if not isinstance(document, dict):
        raise ConfigurationError(f"{name} holds no job: at least `objective: {{name: ...}}` is needed.")
    try:
        json.dumps(document, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise ConfigurationError(f"{name} contains itself, by an alias: JSON cannot represent that.") from error
    return document


class _Refused(yaml.YAMLError):
    """Something in a document has no meaning in a job; the message says what, and where."""


class _Loader(yaml.SafeLoader):
    """YAML 1.2's core schema: 1e-5 is a number there, and neither `no` nor a date is anything but text.

    Keys are text, as in JSON, and as they are written: `1` and `true` are two keys.
    """

    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012  as PyYAML declares it
    yaml_constructors = {  # noqa: RUF012  no types that JSON does not have, such as dates
        tag: constructor
        for tag, constructor in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in ("null", "seq", "map")
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Raises _Refused."""
        keys: dict[str, yaml.ScalarNode] = {}
        document: dict[Hashable, Any] = {}
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.constructor.ConstructorError(None, None, "a key must be text", key.start_mark)
            name = _text(self, key)
            if (before := keys.setdefault(name, key)) is not key:  # one of its values would be lost
                lines = sorted({before.start_mark.line + 1, key.start_mark.line + 1})
                where = _line(key) if len(lines) == 1 else f"in lines {lines[0]} and {lines[1]}"
                raise _Refused(f"the key {name!r} is given twice, {where}: give it once")
            document[name] = self.construct_object(value, deep=deep)
        if (merge := keys.get("<<")) is not None and merge.style is None:
            raise _Refused(f"the merge key <<, {_line(merge)}, is not of YAML 1.2: write the fields out")
        return document


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?[0-9]+", list("-+0123456789")),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", list("-+.0123456789")),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(rf"^(?:{_pattern})$"), _first)


def _text(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> str:
    """Text, in which JSON may write a letter beyond 16 bits as two escapes."""
    try:
        return str(loader.construct_scalar(node)).encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError:
        raise _unreadable(node, "text: it holds half a surrogate pair") from None


def _truth(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> bool:
    try:
        return {"true": True, "false": False}[str(loader.construct_scalar(node)).lower()]
    except KeyError:
        raise _unreadable(node, "true or false") from None


def _whole(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> int:
    try:
        return int(str(loader.construct_scalar(node)))  # 010 is ten, not an octal eight
    except ValueError:
        raise _unreadable(node, "a whole number") from None


def _finite(loader: yaml.SafeLoader, node: yaml.ScalarNode) -> float:
    try:
        number = float(str(loader.construct_scalar(node)))
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise _unreadable(node, "a finite number")
    return number


def _unreadable(node: yaml.ScalarNode, wanted: str) -> _Refused:
    shown = node.value if len(node.value) <= 40 else f"{node.value[:37]}..."
    return _Refused(f"{shown!r}, {_line(node)}, cannot be read as {wanted}")


def _line(node: yaml.ScalarNode) -> str:
    return f"in line {node.start_mark.line + 1}"


for _tag, _constructor in (("str", _text), ("bool", _truth), ("int", _whole), ("float", _finite)):
    _Loader.add_constructor(f"tag:yaml.org,2002:{_tag}", _constructor)


def _where(error: Exception) -> str:
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"{error.problem}, in line {error.problem_mark.line + 1}"
    return str(error).splitlines()[0]
