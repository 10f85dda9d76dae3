"""What a tool takes, as every model interface can read it.

Servers write any JSON Schema. Ollama's client refuses what is not shaped as it expects, llama.cpp
makes a grammar of it and knows few keywords; either would fail each question, not only the tool.
What is left out here, the server still checks.
"""

from __future__ import annotations

from typing import Any

TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})

DEEPEST = 8
MOST_PARTS = 1_000
"""Parts of a schema, its references followed; what is beyond them is left open."""

LONGEST_WORDS = 500
MOST_CHOICES = 100


def plain(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema of a tool's arguments with nothing but types, names, words and choices."""
    return {"properties": {}, **_Reader(schema).read(schema, 0), "type": "object"}


class _Reader:
    """Reads one schema; local references are replaced by what they stand for."""

    def __init__(self, whole: dict[str, Any]) -> None:
        self._whole = whole
        self._left = MOST_PARTS

    def read(self, schema: object, depth: int) -> dict[str, Any]:
        self._left -= 1
        if not isinstance(schema, dict) or depth > DEEPEST or self._left < 0:
            return {}
        if isinstance(reference := schema.get("$ref"), str):
            others = {key: value for key, value in schema.items() if key != "$ref"}
            schema = {**self._named(reference), **others}
        kept: dict[str, Any] = {}
        if kind := _kind(schema.get("type")):
            kept["type"] = kind
        if isinstance(words := schema.get("description"), str):
            kept["description"] = words[:LONGEST_WORDS]
        if isinstance(choices := schema.get("enum"), list):
            kept["enum"] = [one for one in choices if _is_scalar(one)][:MOST_CHOICES]
        if isinstance(properties := schema.get("properties"), dict):
            read = {name: self.read(one, depth + 1) for name, one in properties.items()}
            kept["properties"] = read
            required = schema.get("required")
            wanted = required if isinstance(required, list) else []
            kept["required"] = [name for name in wanted if isinstance(name, str) and name in read]
        if isinstance(items := schema.get("items"), dict):
            kept["items"] = self.read(items, depth + 1)
        for key in ("anyOf", "oneOf"):
            if isinstance(ways := schema.get(key), list):
                kept["anyOf"] = [self.read(one, depth + 1) for one in ways[:MOST_CHOICES]]
        return kept

    def _named(self, reference: str) -> dict[str, Any]:
        """What a reference within the schema stands for; none is followed outside."""
        found: Any = self._whole
        place, _, path = reference.partition("#/")
        for part in [*path.split("/")] if not place and path else [""]:
            found = found.get(part) if isinstance(found, dict) else None
        return found if isinstance(found, dict) and "$ref" not in found else {}


def _kind(kind: object) -> str | list[str] | None:
    if isinstance(kind, str):
        return kind if kind in TYPES else None
    if isinstance(kind, list):
        return [one for one in kind if isinstance(one, str) and one in TYPES] or None
    return None


def _is_scalar(value: object) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
