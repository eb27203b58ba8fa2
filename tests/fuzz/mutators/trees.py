"""Damages JSON and XML: values, names and places of elements."""

from __future__ import annotations

import copy
import json
import random
from xml.etree import ElementTree

from .plain import change_text
from .values import VALUES, WORDS


def change_json(rng: random.Random, data: bytes) -> bytes:
    """Changes one value or key."""
    try:
        content = json.loads(data)
    except ValueError:
        return change_text(rng, data)
    places = list(_json_places(content))
    if not places:
        return json.dumps(rng.choice(VALUES)).encode()
    parent, key = rng.choice(places)
    kind = rng.randrange(7)
    if kind == 0:
        del parent[key]
    elif kind == 1 and isinstance(parent, list):
        parent.insert(key, parent[key])
    elif kind == 2:
        parent[key] = [parent[key]]
    elif kind == 3:
        other, name = rng.choice(places)
        parent[key] = json.loads(json.dumps(other[name]))
    elif kind == 4 and isinstance(parent, dict):
        parent[rng.choice((key.upper(), "x", ""))] = parent.pop(key)
    else:
        parent[key] = rng.choice(VALUES)
    return json.dumps(content, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _json_places(value):
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield value, key
        yield from _json_places(inner)


def change_xml(rng: random.Random, data: bytes) -> bytes:
    """Changes one element: its text, its name, its place."""
    try:
        root = ElementTree.fromstring(data)
    except (ElementTree.ParseError, ValueError, LookupError):
        return change_text(rng, data)
    parents = [element for element in root.iter() if len(element)]
    if not parents:
        return change_text(rng, data)
    parent = rng.choice(parents)
    place, kind = rng.randrange(len(parent)), rng.randrange(6)
    element = parent[place]
    if kind == 0:
        parent.remove(element)
    elif kind == 1:
        parent.insert(place, copy.deepcopy(element))
    elif kind == 2:
        element.tag = rng.choice(
            (element.tag.upper(), "x", "{n}" + element.tag, *(e.tag for e in root.iter()))
        )
    elif kind == 3:
        rng.choice(parents).append(copy.deepcopy(element))
    else:
        element.text = rng.choice([word for word in WORDS if word not in ("\0", "\x1b[31m")])
    return ElementTree.tostring(root, encoding="unicode").encode("utf-8", "surrogatepass")
