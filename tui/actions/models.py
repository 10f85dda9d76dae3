"""Which model answers, with what parameters, and as whom."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.llm.base import ModelError
from engine.parameters import PERSONAS, ParameterError, changed, in_words, personas
from tui.actions.base import ChatBase
from tui.telling import tell

if TYPE_CHECKING:
    from engine.parameters import Parameters


class ModelActions(ChatBase):
    """The model of the conversation, its parameters and its persona."""

    def action_choose_model(self, ref: str = "") -> None:
        """Choose which model answers from now on; show those that there are if none is named."""
        if ref:
            self.run_worker(self._choose(ref), group="model", exclusive=True)
        else:
            from tui.screens.model_picker import ModelPicker

            def chosen(ref: str | None) -> None:
                if ref:
                    self.run_worker(self.conversation.use_model(ref), group="model")

            self.app.push_screen(ModelPicker(self._engine.models), chosen)

    async def _choose(self, ref: str) -> None:
        try:
            info = await self._engine.models.choose(ref)
        except ModelError as error:
            tell(self, f"{error.failure.message} {error.failure.next_step}", "error")
        else:
            await self.conversation.use_model(ref)
            tell(self, f"{info.ref} answers from now on.")

    def action_set(self, written: str = "") -> None:
        """Set a parameter of this conversation, `NAME VALUE`; show them all if none is named."""
        name, _, value = written.partition(" ")
        if name:
            self._set(name, value)
            return
        from tui.screens.parameters import ParametersScreen

        def keep(parameters: Parameters | None) -> None:
            if parameters is not None:
                self._keep_parameters(parameters)

        known = personas(self._engine.paths.config_dir)
        self.app.push_screen(ParametersScreen(self.conversation.parameters, known), keep)

    def _set(self, name: str, value: str) -> None:
        try:
            parameters = changed(self.conversation.parameters, name, value)
        except ParameterError as error:
            tell(self, str(error), "warning")
        else:
            self._keep_parameters(parameters)

    def _keep_parameters(self, parameters: Parameters) -> None:
        self.run_worker(self.conversation.set_parameters(parameters), group="parameters")
        tell(
            self,
            f"Here: {in_words(parameters)}." if in_words(parameters) else "As in the settings.",
        )

    def action_persona(self, name: str = "") -> None:
        """Let this conversation have a persona, or `none`; show those that there are."""
        folder = self._engine.paths.config_dir / PERSONAS
        known = personas(self._engine.paths.config_dir)
        if name == "none" or name in known:
            self._set("persona", "" if name == "none" else name)
        elif name:
            there = f"There are {', '.join(known)}." if known else "There is none yet."
            file = folder / f"{name}.md"
            tell(self, f"There is no persona {name!r}. {there} {file} would make it.", "warning")
        elif known:
            tell(self, f"/persona NAME, of {', '.join(known)}; /persona none for no other.")
        else:
            tell(self, f"No persona is written yet. Its instructions go into {folder}/NAME.md.")
