"""Reads yaml files that hold only texts, lists and dictionaries."""

from __future__ import annotations

import os

import yaml

from ...files import read_text

MAX_BYTES = 2**20  # ten thousand class names take a third of it
_MAX_TOKENS = 100_000  # some seconds
_MAX_DEPTH = 20  # the scanner takes quadratic time in the depth
_STARTS = (
    yaml.BlockMappingStartToken,
    yaml.BlockSequenceStartToken,
    yaml.FlowMappingStartToken,
    yaml.FlowSequenceStartToken,
)
_ENDS = (yaml.BlockEndToken, yaml.FlowMappingEndToken, yaml.FlowSequenceEndToken)
_NULLS = ("", "~", "null", "Null", "NULL")

Plain = None | str | list["Plain"] | dict[str, "Plain"]


def read_yaml(path: str | os.PathLike[str]) -> Plain:
    """The content of a yaml file.

    Every value stays the text that is written there, so `no` is the text "no" and not False. Only an unquoted
    `null` or `~`, or nothing, is None.

    Args:
        path: path of the file, in UTF-8, at most 1 MiB.

    Raises:
        FileNotFoundError: if there is no file.
        ValueError: for a file that is too large, too deep or not yaml, and for tags (`!!name`), aliases
            (`*name`) and repeated keys; names the file.
    """
    return parse_yaml(read_text(path, MAX_BYTES), path)


def parse_yaml(text: str, path: str | os.PathLike[str]) -> Plain:
    """The content of a text in yaml; `path` is for messages. See `read_yaml`."""
    try:
        _check_tokens(text)
        return _plain(yaml.compose(text, Loader=yaml.BaseLoader))
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the latter two for broken escapes
        reason = " ".join(str(error).split())
        raise ValueError(f"{os.fspath(path)}: not a readable yaml file: {reason}") from error


def _check_tokens(text):
    depth = 0
    for count, token in enumerate(yaml.scan(text, Loader=yaml.BaseLoader)):
        depth += isinstance(token, _STARTS) - isinstance(token, _ENDS)
        if depth > _MAX_DEPTH or count > _MAX_TOKENS:
            raise yaml.YAMLError("too many values, or values that are nested too deep")
        if isinstance(token, yaml.AliasToken):
            # A few lines of aliases of aliases can expand to a billion values.
            raise yaml.YAMLError("aliases (*name) are not supported; write out the values")
        if isinstance(token, yaml.TagToken):
            raise yaml.YAMLError("tags (!!name) are not supported")


def _plain(node):
    if isinstance(node, yaml.MappingNode):
        return _dictionary(node)
    if isinstance(node, yaml.SequenceNode):
        return [_plain(item) for item in node.value]
    if node is None or (node.style is None and node.value in _NULLS):
        return None
    return node.value


def _dictionary(node):
    result = {}
    for key, value in node.value:
        if not isinstance(key, yaml.ScalarNode):
            raise yaml.YAMLError(f"line {key.start_mark.line + 1}: a key must be a text")
        if key.value in result:
            raise yaml.YAMLError(
                f"line {key.start_mark.line + 1}: the key {key.value!r} occurs more than once"
            )
        result[key.value] = _plain(value)
    return result
