"""Skills: how to do something, under a name."""

from __future__ import annotations

import time

from storage.errors import SkillExistsError, UnknownMemoryError
from storage.ids import new_id
from storage.memory import Batch, MemoryStore, insertion
from storage.records import Skill


class SkillBatch(Batch):
    """Changes to skills, written together."""

    def add(self, name: str, text: str, *, description: str = "") -> Skill:
        """Learn a skill; the whole batch fails if the name is taken."""
        now = time.time()
        skill = Skill(
            id=new_id(),
            name=name,
            description=description,
            text=text,
            created_at=now,
            updated_at=now,
        )
        self.change(*insertion("skills", skill))
        return skill

    def change_text(self, name: str, text: str, *, description: str = "") -> None:
        """Replace what a skill says."""
        self.change(
            "UPDATE skills SET text = ?, description = ?, updated_at = ? WHERE name = ?",
            (text, description, time.time(), name),
        )

    def forget(self, name: str) -> None:
        """Remove a skill for good."""
        self.change("DELETE FROM skills WHERE name = ?", (name,))


class SkillStore(MemoryStore[Skill, SkillBatch]):
    """The skills of a database."""

    table = "skills"
    record = Skill
    batches = SkillBatch

    async def add(self, name: str, text: str, *, description: str = "") -> Skill:
        """Learn a skill.

        Raises:
            SkillExistsError: The name is taken.
        """
        skill = SkillBatch().add(name, text, description=description)
        sql, parameters = insertion("skills", skill)
        if not await self._database.write(
            f"{sql} ON CONFLICT (name) DO NOTHING RETURNING id", parameters
        ):
            raise SkillExistsError(f"There is a skill “{name}” already.", "Change it instead.")
        return skill

    async def get(self, name: str) -> Skill | None:
        """The skill of this name, or None."""
        skills = await self._select("this.name = ?", [name], limit=1)
        return skills[0] if skills else None

    async def change_text(self, name: str, text: str, *, description: str = "") -> Skill:
        """Replace what a skill says.

        Raises:
            UnknownMemoryError: There is none of this name.
        """
        batch = SkillBatch()
        batch.change_text(name, text, description=description)
        await self._commit(batch)
        skill = await self.get(name)
        if skill is None:
            raise UnknownMemoryError(f"There is no skill “{name}”.")
        return skill

    async def forget(self, name: str) -> None:
        """Remove a skill for good.

        Raises:
            UnknownMemoryError: There is none of this name.
        """
        batch = SkillBatch()
        batch.forget(name)
        await self._commit(batch)

    async def search(self, query: str = "", *, limit: int = 10) -> list[Skill]:
        """The skills that share most with `query`; without words, the newest."""
        return await self._search(query, [], [], limit)
