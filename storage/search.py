"""Full-text search over titles and messages. Whatever a person types is a query."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

from storage import query as language
from storage.messages import message_from
from storage.ranking import RANKED_AT_MOST
from storage.records import Message, Role, SearchHit, Session
from storage.sessions import session_from
from storage.sql import marks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from storage.query import Query
    from storage.sql import Sql

ROUNDS = (300, 1_500, 6_000)
"""How many messages are looked at, the newest first, until there are some sessions. So a query that
fits half of all messages has its cost bounded, and ranks the newest of them."""

SOME_SESSIONS = 10

TAGGED = 500
"""So many sessions of a tag are looked through, the latest."""

PROMPTS_LOOKED_AT = 20_000
"""Among so many of the newest messages earlier prompts are looked for."""

LONGEST_PROMPT = 20_000
"""Characters. What is longer was pasted, and nobody wants it again by a key."""

TITLE_BONUS = 10.0
"""What a match in a title is worth beside its BM25: about as much as a rare word in a message."""

_MESSAGE = ", ".join(f"message.{column}" for column in Message.__struct_fields__)
_SESSION = ", ".join(f"session.{column}" for column in Session.__struct_fields__)


class Search:
    """Finds sessions and messages by their words."""

    def __init__(self, database: Sql) -> None:
        self._database = database

    async def sessions(self, query: str, *, limit: int = 30) -> list[SearchHit]:
        """The sessions with a message, or a title, that fits `query`, the best first.

        `storage.query` describes the language. Each session comes with its best place; of equals
        the later comes first, and all are equal where thousands of messages fit. Case and
        diacritics make no difference.
        """
        wanted = language.parse(query)
        if not wanted.phrases and not wanted.filtered:
            return []
        places = await self._best_places(wanted, limit)
        titles = await self._title_scores(wanted, limit)
        scores = {
            session_id: titles.get(session_id, 0.0) + places.get(session_id, (0.0, 0))[0]
            for session_id in (*places, *titles)
        }
        # Newer sessions come first in `places`, and sorting is stable.
        best = sorted(scores, key=lambda session_id: -scores[session_id])[:limit]
        sessions = {
            row[0]: session_from(row)
            for row in await self._database.fetch_all(
                f"SELECT {_SESSION} FROM sessions AS session"
                f" WHERE id IN ({marks(best)}) AND deleted_at IS NULL",
                best,
            )
        }
        keys = [places[session_id][1] for session_id in best if session_id in places]
        messages = {
            message.session_id: message
            for message in map(
                message_from,
                await self._database.fetch_all(
                    f"SELECT {_MESSAGE} FROM messages AS message WHERE key IN ({marks(keys)})",
                    keys,
                ),
            )
        }
        return [
            _hit(sessions[session_id], messages.get(session_id), wanted, scores[session_id])
            for session_id in best
            if session_id in sessions
        ]

    async def messages(
        self,
        query: str,
        *,
        session_id: str | None = None,
        exclude_session: str | None = None,
        roles: Sequence[Role] = (Role.USER, Role.ASSISTANT),
        limit: int = 10,
    ) -> list[tuple[Message, float]]:
        """The shown messages that share most with `query`, each with its BM25 score, best first.

        One word in common is enough for a place in the list, so a whole question may be the query;
        words without a meaning of their own are left out.
        """
        match = await self._database.full_text.telling("messages", query)
        if match is None:
            return []
        rows = await self._database.fetch_all(
            f"""
            SELECT {_MESSAGE}, candidate.score
            FROM (
                SELECT message.key, {match.score} AS score
                FROM {match.source}
                CROSS JOIN sessions AS session ON session.id = message.session_id
                WHERE {match.condition}
                    AND message.shown
                    AND session.deleted_at IS NULL
                    AND message.role IN ({marks(roles)})
                    AND (CAST(? AS TEXT) IS NULL OR message.session_id = ?)
                    AND message.session_id IS NOT ?
                ORDER BY {match.order} DESC LIMIT {RANKED_AT_MOST}
            ) AS candidate
            JOIN messages AS message ON message.key = candidate.key
            ORDER BY candidate.score DESC, message.key DESC LIMIT ?
            """,
            (
                *match.score_parameters,
                *match.parameters,
                *roles,
                session_id,
                session_id,
                exclude_session,
                limit,
            ),
        )
        return [(message_from(row[:-1]), row[-1]) for row in rows]

    async def prompts(self, prefix: str = "", *, limit: int = 200) -> list[str]:
        """What the user asked in any session and began with `prefix`; newest first, each once."""
        rows = await self._database.fetch_all(
            f"""
            SELECT message.content
            FROM messages AS message CROSS JOIN sessions AS session
                ON session.id = message.session_id AND session.deleted_at IS NULL
            WHERE message.key > (SELECT max(key) FROM messages) - {PROMPTS_LOOKED_AT}
                AND message.role = 'user'
                AND substr(message.content, 1, length(CAST(? AS TEXT))) = ?
                AND length(message.content) <= {LONGEST_PROMPT}
            ORDER BY message.key DESC LIMIT ?
            """,
            (prefix, prefix, 2 * limit),
        )
        return list(dict.fromkeys(content for (content,) in rows))[:limit]

    async def _best_places(self, wanted: Query, limit: int) -> dict[str, tuple[float, int]]:
        """For each session the score and key of its best message; newer sessions first."""
        conditions = ["message.shown", "session.deleted_at IS NULL"]
        source, score, order = "messages AS message", "0.0", "message.key"
        parameters: list[Any] = []
        if wanted.phrases:
            match = self._database.full_text.fitting("messages", wanted)
            source, order = match.source, match.order
            # BM25 first reads everything that is known of each word, which is only worth it where
            # the words together tell messages apart.
            if not await self._database.full_text.is_broad("messages", wanted):
                score = match.score
                parameters += match.score_parameters
            conditions.append(match.condition)
            parameters += match.parameters
        if wanted.roles:
            conditions.append(f"message.role IN ({marks(wanted.roles)})")
            parameters += wanted.roles
        if wanted.model:
            conditions.append("instr(lower(message.model), ?) > 0")
            parameters.append(wanted.model)
        if wanted.tags:
            tagged = await self._tagged(wanted.tags)
            conditions.append(f"message.session_id IN ({marks(tagged)})")
            parameters += tagged
        if wanted.after is not None:
            conditions.append("message.created_at >= ?")
            parameters.append(wanted.after)
        if wanted.before is not None:
            conditions.append("message.created_at < ?")
            parameters.append(wanted.before)
        conditions.append(f"{order} < ?")
        best: dict[str, tuple[float, int]] = {}
        last = sys.maxsize
        for size in ROUNDS:
            rows = await self._database.fetch_all(
                f"SELECT message.session_id, message.key, {score}"
                f" FROM {source} CROSS JOIN sessions AS session ON session.id = message.session_id"
                f" WHERE {' AND '.join(conditions)} ORDER BY {order} DESC LIMIT {size}",
                [*parameters, last],
            )
            for session_id, key, points in rows:
                if session_id not in best or points > best[session_id][0]:
                    best[session_id] = points, key
            if len(rows) < size or len(best) >= min(limit, SOME_SESSIONS):
                break
            last = rows[-1][1]
        return best

    async def _tagged(self, tags: Sequence[str]) -> list[str]:
        """The latest sessions that have all these tags."""
        has = "EXISTS (SELECT 1 FROM json_each(state, '$.tags') WHERE value = ?)"
        rows = await self._database.fetch_all(
            "SELECT id FROM sessions"
            " WHERE json_extract(state, '$.tags') IS NOT NULL AND deleted_at IS NULL"
            f" AND {' AND '.join([has] * len(tags))} ORDER BY updated_at DESC LIMIT {TAGGED}",
            list(tags),
        )
        return [session_id for (session_id,) in rows]

    async def _title_scores(self, wanted: Query, limit: int) -> dict[str, float]:
        """The sessions whose titles fit, newer ones first. Filters are about messages."""
        if not wanted.phrases or wanted.filtered:
            return {}
        match = self._database.full_text.fitting("titles", wanted)
        rows = await self._database.fetch_all(
            f"""
            SELECT session.id, {TITLE_BONUS} + {match.score} FROM {match.source}
            WHERE {match.condition} AND session.deleted_at IS NULL
            ORDER BY {match.order} DESC LIMIT ?
            """,
            (*match.score_parameters, *match.parameters, max(limit, ROUNDS[0])),
        )
        return dict(cast("list[tuple[str, float]]", rows))


def _hit(session: Session, message: Message | None, wanted: Query, score: float) -> SearchHit:
    return SearchHit(
        session=session,
        message_id=message.id if message else None,
        position=message.position if message else None,
        role=message.role if message else None,
        snippet=language.snippet(message.content if message else session.title, wanted),
        score=score,
    )
