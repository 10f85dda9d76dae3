"""The time, which no model knows."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from engine.tools.registry import ToolContext, ToolError, tool


@tool(compacts_to="A time that has passed. Ask for the time again if needed.")
async def current_time(
    context: ToolContext,
    time_zone: Annotated[str, "An IANA name such as `Europe/Lisbon`; empty: the user's own"] = "",
) -> str:
    """Tell the date, the day of the week and the time now."""
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError  # late: a start needs no zones

    try:
        zone = ZoneInfo(time_zone) if time_zone else None
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolError(
            f"There is no time zone {time_zone!r}; use a name like `Asia/Tokyo`."
        ) from None
    now = datetime.now(zone).astimezone(zone)
    return now.strftime("%A, %Y-%m-%d %H:%M:%S %Z (UTC%z)")
