"""Skills: how to do something, under a name that is one person's."""

from __future__ import annotations

import time

from storage.errors import SkillExistsError
from storage.ids import new_id
from storage.memory import Batch, MemoryStore, insertion, owned_by
from storage.records import Skill


class SkillBatch(Batch):
    """Changes to skills, written together."""

    def add(
        self,
        name: str,
        text: str,
        *,
        description: str = "",
        entity_id: str | None = None,
        process_id: str | None = None,
    ) -> Skill:
        """Learn a skill; the whole batch fails if the name is taken."""
        now = time.time()
        skill = Skill(
            id=new_id(),
            name=name,
            description=description,
            text=text,
            created_at=now,
            updated_at=now,
            entity_id=entity_id,
            process_id=process_id,
        )
        self.change(*insertion("skills", skill))
        return skill


class SkillStore(MemoryStore[Skill, SkillBatch]):
    """The skills of a database."""

    table = "skills"
    record = Skill
    batches = SkillBatch

    async def add(
        self,
        name: str,
        text: str,
        *,
        description: str = "",
        entity_id: str | None = None,
        process_id: str | None = None,
    ) -> Skill:
        """Learn a skill.

        Raises:
            SkillExistsError: The person has one of this name.
        """
        skill = SkillBatch().add(
            name, text, description=description, entity_id=entity_id, process_id=process_id
        )
        sql, parameters = insertion("skills", skill)
        if not await self._database.write(
            f"{sql} ON CONFLICT (name, coalesce(entity_id, '')) DO NOTHING RETURNING id", parameters
        ):
            raise SkillExistsError(f"There is a skill “{name}” already.", "Change it instead.")
        return skill

    async def named(self, name: str, entity_id: str | None = None) -> Skill | None:
        """A person's skill of this name, or None."""
        skills = await self._select(
            "this.name = ? AND this.entity_id IS ?", [name, entity_id], limit=1
        )
        return skills[0] if skills else None

    async def change_text(self, skill_id: str, text: str) -> Skill:
        """Replace what a skill says.

        Raises:
            UnknownMemoryError: It is not there.
        """
        return await self._changed(
            "UPDATE skills SET text = ?, updated_at = ? WHERE id = ?",
            (text, time.time(), skill_id),
        )

    async def search(
        self,
        query: str = "",
        *,
        entity_id: str | None = None,
        process_id: str | None = None,
        limit: int = 10,
        offset: int = 0,
    ) -> list[Skill]:
        """The skills that share most with `query`; without words, the pinned, then the newest."""
        return await self._search(query, *owned_by(entity_id, process_id), limit, offset)
