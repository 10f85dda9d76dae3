"""What answers cost, summed by day, by model or by session."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias

import msgspec

if TYPE_CHECKING:
    from storage.sql import Sql

Unit: TypeAlias = Literal["day", "model", "session"]

_KEYS: dict[str, str] = {
    "day": "date(finished_at, 'unixepoch', 'localtime')",
    "model": "coalesce(model, '')",
    "session": "session_id",
}


class UsageRow(msgspec.Struct, frozen=True, kw_only=True):
    """The sums of a day, a model or a session. Counts are tokens, times are seconds."""

    key: str
    """The day as `YYYY-MM-DD` in local time, the model as `provider:name`, or the session's id."""

    answers: int
    prompt_tokens: int
    eval_tokens: int
    eval_seconds: float
    first_token_seconds: float | None
    """The mean; None where no answer has the figure."""

    @property
    def tokens_per_second(self) -> float | None:
        """Generated tokens a second, or None when nothing was timed."""
        return self.eval_tokens / self.eval_seconds if self.eval_seconds else None


async def usage_by(
    database: Sql, unit: Unit, *, since: float | None = None, limit: int = 100
) -> list[UsageRow]:
    """The sums for each day (the latest first), or each model or session (the costliest first).

    Days and models are summed as answers come: without `since` that costs the same after years.
    """
    if since is None and unit in ("day", "model"):
        columns = (
            f"{unit}, sum(answers), sum(prompt_tokens), sum(eval_tokens), sum(eval_seconds),"
            " sum(first_token_seconds) / nullif(sum(first_tokens), 0) FROM usage_by_day"
        )
        having = " HAVING sum(answers) > 0"
    else:
        columns = (
            f"{_KEYS[unit]}, count(*),"
            " coalesce(sum(prompt_tokens), 0), coalesce(sum(eval_tokens), 0),"
            " coalesce(sum(eval_seconds), 0.0),"
            " avg(CAST(json_extract(usage, '$.first_token_seconds') AS DOUBLE PRECISION))"
            " FROM messages WHERE usage IS NOT NULL AND finished_at >= :since"
        )
        having = ""
    order = (
        "1 DESC"
        if unit == "day"
        else "coalesce(sum(prompt_tokens), 0) + coalesce(sum(eval_tokens), 0) DESC"
    )
    rows = await database.fetch_all(
        f"SELECT {columns} GROUP BY 1{having} ORDER BY {order} LIMIT :limit",
        {"since": since or 0.0, "limit": limit},
    )
    return [
        UsageRow(
            key=key,
            answers=int(answers),
            prompt_tokens=int(prompt_tokens),
            eval_tokens=int(eval_tokens),
            eval_seconds=eval_seconds,
            first_token_seconds=first,
        )
        for key, answers, prompt_tokens, eval_tokens, eval_seconds, first in rows
    ]
