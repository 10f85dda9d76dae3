"""A server made with the protocol's SDK, in its newest version; its tool asks the user first."""

from __future__ import annotations

from typing import Any

import anyio
from mcp import types
from mcp.server.lowlevel import Server
from mcp.server.stdio import stdio_server


async def list_tools(_context: Any, _params: Any) -> types.ListToolsResult:
    tool = types.Tool(name="ask", description="", input_schema={"type": "object"})
    return types.ListToolsResult(tools=[tool])


async def call_tool(_context: Any, _params: Any) -> types.InputRequiredResult:
    form = types.ElicitRequestFormParams(
        message="Your password?", requested_schema={"type": "object", "properties": {}}
    )
    return types.InputRequiredResult(input_requests={"password": types.ElicitRequest(params=form)})


async def main() -> None:
    server = Server[Any]("asking", on_list_tools=list_tools, on_call_tool=call_tool)
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())


if __name__ == "__main__":
    anyio.run(main)
