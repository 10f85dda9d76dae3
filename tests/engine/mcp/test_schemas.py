"""Schemas of servers, however odd: a model interface takes what is made of them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ollama import Tool

from engine.llm.base import ToolSpec
from engine.llm.ollama import _tool
from engine.mcp.schemas import MOST_PARTS, plain

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
KEYWORDS = st.sampled_from(
    ["type", "properties", "required", "items", "enum", "anyOf", "$ref", "$defs", "description"]
)
ANYTHING: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYWORDS | st.text(max_size=3), inner)
    ),
    max_leaves=15,
)


def take(parameters: dict[str, Any]) -> None:
    """Do what Ollama's client does with a tool."""
    Tool.model_validate(_tool(ToolSpec(name="it", description="", parameters=parameters)))


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYWORDS, ANYTHING))
def test_whatever_a_server_writes_ollamas_client_takes(schema: dict[str, Any]) -> None:
    take(plain(schema))


@pytest.mark.parametrize("odd", [{"properties": {"x": True}}, {"required": "x"}, {"type": 5}])
def test_what_ollamas_client_refuses_is_left_out(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        take({"type": "object", **odd})
    take(plain(odd))


def test_what_a_model_needs_is_kept_and_references_are_followed() -> None:
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {
            "when": {"$ref": "#/$defs/Day", "description": "The day"},
            "tags": {"type": "array", "items": {"type": "string", "pattern": "(a+)+$"}},
            "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}], "default": None},
            "far": {"$ref": "https://example.org/schema.json"},
        },
        "required": ["when", "gone"],
        "$defs": {"Day": {"type": "string", "enum": ["today", "tomorrow"]}},
    }
    assert plain(schema) == {
        "type": "object",
        "properties": {
            "when": {"type": "string", "enum": ["today", "tomorrow"], "description": "The day"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "maybe": {"anyOf": [{"type": "integer"}, {"type": "null"}]},
            "far": {},
        },
        "required": ["when"],
    }


def test_a_schema_that_multiplies_itself_is_cut() -> None:
    ways = [{"$ref": "#/$defs/A"}] * 50
    bomb = {"properties": {"a": {"$ref": "#/$defs/A"}}, "$defs": {"A": {"anyOf": ways}}}
    assert str(plain(bomb)).count("anyOf") <= MOST_PARTS
