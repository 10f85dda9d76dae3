"""Settings and places: one TOML file, environment overrides, and the folders that the program uses.

A setting `[section] key` can be overridden by the environment variable `SCRUBJAY_SECTION_KEY`;
the folders by `SCRUBJAY_CONFIG_DIR`, `SCRUBJAY_DATA_DIR`, `SCRUBJAY_STATE_DIR`,
`SCRUBJAY_CACHE_DIR` and `SCRUBJAY_MODELS_DIR`. Otherwise the XDG base directory specification
(or the system's own custom) decides.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping


class SettingsError(Exception):
    """The settings can't be used; the message names the place, the key and the remedy."""


Positive = Annotated[int, msgspec.Meta(ge=1)]
NotNegative = Annotated[int, msgspec.Meta(ge=0)]
Window = Annotated[int, msgspec.Meta(ge=256)]
Time = Annotated[float, msgspec.Meta(ge=0)]
Deadline = Annotated[float, msgspec.Meta(gt=0)]
Part = Literal["articles", "summary", "pinned", "tools", "memories", "conversation"]

SERVER_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9-]{0,22}[A-Za-z0-9])?")
"""No underscore: two of them part a server's name from its tool's."""


class ModelSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model answers, and how."""

    default: str = ""
    """`provider:name`, such as `ollama:llama3.2` or `embedded:smollm2-135m`.
    Empty: Ollama's most recent model if the server answers at the start, else the embedded one."""

    system_prompt: str = ""
    """Replaces the system prompt that ships with the program."""

    temperature: Annotated[float, msgspec.Meta(ge=0, le=5)] | None = None
    """From 0, which always says the likeliest, upwards. Unset leaves it to the model."""

    top_p: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    """Only the likeliest words that make up this share of all."""

    seed: int | None = None
    """The same question with the same seed has the same answer."""

    stop: tuple[str, ...] = ()
    """Where one of these would be said, the answer ends."""

    max_tokens: Positive | None = None
    """The longest answer, in tokens."""

    context_length: Window | None = None
    """The window to ask the model for, in tokens."""

    think: bool | None = None
    """Whether a model that can think aloud does so; unset leaves it to the model."""


class OllamaSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The Ollama server."""

    host: str = ""
    """Empty: `OLLAMA_HOST`, else `http://127.0.0.1:11434`."""

    hosts: tuple[str, ...] = ()
    """More servers beside it, such as `attic:11434`. A question goes to the least busy one that has
    the model loaded, and to another when that one fails. Behind a blank may stand the environment
    variable with a server's key; `OLLAMA_API_KEY` is sent to `host` alone."""

    keep_alive: str = "10m"
    """How long the server keeps a model in memory after an answer."""

    probe_seconds: Time = 0.3
    """How long the start waits for the server before it chooses the embedded model."""


class EmbeddedSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model that runs in a child process of this program."""

    context_length: Window = 4096
    """The model's window, in tokens. A larger one takes more memory."""

    threads: Positive = 1
    """For generation. More than one collapses when other programs use the processor."""

    batch_threads: Positive = 2
    """For reading prompts."""

    idle_seconds: Time = 900.0
    """The child ends after so long without work, and starts again when it is needed. 0: never."""


class OpenAISettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Any server that speaks OpenAI's chat completions: llama.cpp, vLLM, LM Studio."""

    base_url: str = ""
    """Such as `http://127.0.0.1:8080/v1`. Empty: no such server."""

    api_key_env: str = "OPENAI_API_KEY"
    """The environment variable that holds the key; the system's keyring (service `scrubjay`,
    user: the base URL) is asked when it is unset and the `keyring` extra is installed.
    The key is sent to `base_url` and nowhere else."""

    vision: bool = False
    """Whether its models see images. Those see them, too, that the server says it of."""

    tools: bool = False
    """Whether its models are offered tools. Those are, too, that the server says it of."""

    hosts: tuple[str, ...] = ()
    """More servers beside it: a base URL each, and behind a blank the environment variable with
    its key, if it takes one: `http://attic:8000/v1 ATTIC_KEY`. Questions go as with Ollama's."""


class ContextSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model is shown."""

    priority: tuple[Part, ...] = (
        "articles",
        "summary",
        "pinned",
        "tools",
        "memories",
        "conversation",
    )
    """What is kept longest when the window is full comes first. The system prompt and the
    question are always shown."""

    summarize_after: NotNegative = 40
    """Fold older messages into the summary once so many are outside it. 0: never."""

    keep_last: NotNegative = 12
    """Messages that a summary leaves as they are."""

    compaction: dict[str, str] = {}
    """What stands for a tool's old results when the window is full, by the tool's name, with the
    call's arguments as `{fields}`. Such as `{ read_file = "File content from {path}." }`."""

    def __post_init__(self) -> None:
        """Refuse templates that fit no tool.

        Raises:
            ValueError: One is for no tool, or no template, or names what the tool does not take.
        """
        if self.compaction:
            from engine.tools import built_in_tools

            built_in_tools(self.compaction)


class ToolSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model may do beside talking."""

    folders: tuple[str, ...] = ()
    """Below these, and nowhere else, the model may read files, if you agree to each."""


class McpServer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A server whose tools the model may use: a program that is started, or an address."""

    command: str = ""
    """The program, as a shell finds it. It speaks over its standard input and output."""

    args: tuple[str, ...] = ()
    """What it is started with."""

    env: dict[str, str] = {}
    """More for its environment, which has little: `HOME`, `PATH` and the like. `${NAME}` stands
    for a variable of Scrubjay's own."""

    url: str = ""
    """Such as `https://example.org/mcp`, for a server that speaks streamable HTTP."""

    headers: dict[str, str] = {}
    """Sent to that address and nowhere else. `${NAME}` stands for a variable."""

    login: bool = False
    """Whether it wants a log-in in the browser (OAuth), which `scrubjay mcp login NAME` does."""

    enabled: bool = True
    """Whether it is used."""

    tools: tuple[str, ...] = ()
    """Which of its tools models are offered, by its names; empty: all of them."""

    start_seconds: Deadline = 30.0
    """The longest time until it answers; one that is fetched first may take more."""

    call_seconds: Deadline = 60.0
    """The longest time for one call."""

    def __post_init__(self) -> None:
        """Refuse what says neither what to start nor whom to ask, or both.

        Raises:
            ValueError: It does.
        """
        if bool(self.command) == bool(self.url):
            raise ValueError("a server has either a command or a url")
        if self.url and not self.url.startswith(("http://", "https://")):
            raise ValueError(f"url is {self.url!r}, and begins with neither http nor https")
        if self.url and (self.args or self.env):
            raise ValueError("args and env belong to a command, and there is a url")
        if self.command and (self.headers or self.login):
            raise ValueError("headers and login belong to a url, and there is a command")


class McpSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Tools of other programs for the model, and what other programs may do here."""

    allow: tuple[Literal["remember", "research"], ...] = ()
    """What a program that starts `scrubjay mcp` may do beside reading: `remember`, `research`."""

    entity: str = ""
    """Whose conversations and memories such programs see, by the person's id. Empty: yours."""

    servers: dict[str, McpServer] = {}
    """Servers whose tools the model may use, by a name of your own. Such as
    `[mcp.servers.time]` with `command = "uvx"` and `args = ["mcp-server-time"]`."""

    def __post_init__(self) -> None:
        """Refuse names that can't be part of a tool's.

        Raises:
            ValueError: One is no such name.
        """
        for name in self.servers:
            if not SERVER_NAME.fullmatch(name):
                raise ValueError(
                    f"{name!r} names no server: letters, digits and hyphens do, at most 24"
                )


class MemorySettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is remembered, and what is brought back from earlier conversations."""

    recall: bool = True
    """Whether what fits a question is brought back from earlier conversations."""

    limit: NotNegative = 3
    """The most recollections that a turn may bring back, beside what is pinned."""

    embedder: str = ""
    """What finds messages by meaning beside words: `embedded` (a process of 150 MB, and 2 KB of
    disk and of memory for each message), or `ollama:NAME`. Empty: words alone."""

    extract: bool = True
    """Whether facts are learnt from what you say. Without, it is what you ask to remember."""

    max_memories: NotNegative = 0
    """The most facts, episodes and skills of one person. 0: no limit."""

    max_tokens_a_day: NotNegative = 0
    """The most tokens that a model may spend in a day on learning from one person. 0: no limit."""


class ResearchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where research looks, and how politely."""

    offline: bool = False
    """Only what is on this machine is looked through."""

    off: tuple[str, ...] = ()
    """Sources to leave out: `wikipedia`, `hacker news`, `arxiv`, `stack exchange`, `feeds`,
    `pages`, `files`, `conversations`, `kept`."""

    wikipedia_url: str = "https://en.wikipedia.org"
    """Wikipedia, in the language that you read."""

    hacker_news_url: str = "https://hn.algolia.com"
    """Hacker News' search."""

    arxiv_url: str = "https://export.arxiv.org"
    """ArXiv's interface for programs."""

    stack_exchange_url: str = "https://api.stackexchange.com"
    """Stack Exchange's interface for programs."""

    stack_exchange_site: str = "stackoverflow"
    """Which of its sites is looked through."""

    feeds: tuple[str, ...] = ()
    """URLs of RSS and Atom feeds to look through."""

    folders: tuple[str, ...] = ()
    """Folders and files to look through: Markdown, plain text and PDF."""

    allow_private: bool = False
    """Whether pages that you did not name may be fetched from this machine or a local network."""

    proxy: str = ""
    """`http://host:port` through which pages are fetched; the environment's proxy is not used.
    It resolves names, so that of pages you did not name only the addresses can be checked."""

    user_agent: str = "Scrubjay (+https://github.com/scrubjay/scrubjay)"
    """As what it makes itself known to servers."""

    connections: Positive = 4
    """Requests at a time, to each source."""

    connect_seconds: Deadline = 5.0
    """The longest time until a server takes the connection."""

    read_seconds: Deadline = 8.0
    """The longest silence within an answer."""

    request_seconds: Deadline = 12.0
    """The longest time for one request."""

    source_seconds: Deadline = 20.0
    """The longest time for one source, with all its requests and their repetitions."""

    attempts: Positive = 3
    """How often a request is made while the server is busy or broken."""

    largest_bytes: Positive = 5_000_000
    """The longest page that is read, unpacked."""

    cache_minutes: Time = 60.0
    """How long a page is taken from the disk without asking the server again."""

    results: Positive = 5
    """Articles of one source."""

    shown: Positive = 6
    """Articles that the model is shown."""

    embedder: str = ""
    """`ollama:NAME`, `embedded` or `words`. Empty: Ollama's embedding model if there is one, else
    the embedded one."""

    workers: Positive = 2
    """Processes that read pages and compare texts."""

    def __post_init__(self) -> None:
        """Refuse a proxy of another kind, which would fail with each page."""
        if self.proxy and not self.proxy.startswith(("http://", "https://")):
            raise ValueError(f"proxy is {self.proxy!r}, and begins with neither http nor https")


class WorkerSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the work is done that would keep a processor busy: embedding, reading, comparing."""

    executor: Literal["processes", "dask"] = "processes"
    """`processes` of this machine, or those of a Dask cluster, with the extra `scrubjay[cluster]`.
    Its workers need the same version of Scrubjay."""

    scheduler: str = ""
    """The address of Dask's scheduler, such as `tcp://attic:8786`. Whoever can reach it can run
    programs on its workers: keep it in a network of your own, or use Dask's TLS."""

    def __post_init__(self) -> None:
        """Refuse a cluster that is nowhere."""
        if self.executor == "dask" and not self.scheduler:
            raise ValueError("executor is dask, which needs the address of its scheduler")


class StorageSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is kept, and where."""

    url: str = ""
    """`postgresql://user@host/database` of a PostgreSQL server that several machines share, with
    the extra `postgres`. Empty: a file on this machine. The password does not belong here: it comes
    from `PGPASSWORD`, from the file `~/.pgpass`, or from the keyring (service `scrubjay`, user:
    this URL)."""

    archive_after_days: Time = 0.0
    """Conversations that nobody used for so many days leave the list. They are kept, found by
    search, and can be restored. 0: never."""

    def __post_init__(self) -> None:
        """Refuse what is no address, and a password in it, which anybody who sees the file reads.

        Raises:
            ValueError: It is one of these.
        """
        if not self.url:
            return
        if not self.url.startswith(("postgresql://", "postgres://")):
            raise ValueError("url begins with no postgresql://")
        user = self.url.partition("://")[2].rpartition("@")[0]
        if ":" in user or "password=" in self.url:
            raise ValueError("url holds a password; put it into PGPASSWORD, ~/.pgpass or a keyring")


class UISettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The screen."""

    theme: str = "scrubjay-dark"
    """The colours, by name: built-in ones, and those of your own in `themes/NAME.toml` beside
    this file. Where there are but 16 colours, high contrast stands in for them."""

    enter: Literal["send", "newline"] = "send"
    """What Enter does while you write; ctrl+j, shift+enter and alt+enter do the other."""

    notify_after_seconds: Time = 10.0
    """An answer that took so long, and ends while another window is in use, is notified by the
    terminal, and so is a tool call that waits. 0: never."""

    sidebar: bool = True
    """Whether past conversations are shown where there is room."""

    inspector: bool = True
    """Whether tokens, memory, research and workers are shown where there is room."""


class LogSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The log file. Messages' texts are never logged."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least that is told of the program's own doings."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Everything that a user can set."""

    model: ModelSettings = ModelSettings()
    ollama: OllamaSettings = OllamaSettings()
    embedded: EmbeddedSettings = EmbeddedSettings()
    openai: OpenAISettings = OpenAISettings()
    context: ContextSettings = ContextSettings()
    tools: ToolSettings = ToolSettings()
    mcp: McpSettings = McpSettings()
    memory: MemorySettings = MemorySettings()
    research: ResearchSettings = ResearchSettings()
    workers: WorkerSettings = WorkerSettings()
    storage: StorageSettings = StorageSettings()
    ui: UISettings = UISettings()
    keys: dict[str, str] = {}
    """Other keys for what can be done: `"chat.new" = "f5"`, or several, parted by commas. Help
    (f1) lists the names. While writing, Enter and its like are set by `[ui] enter`."""

    log: LogSettings = LogSettings()


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """The folders and files that the program uses. None is made before it is needed."""

    config_dir: Path
    data_dir: Path
    state_dir: Path
    cache_dir: Path
    models_dir: Path

    @property
    def settings_file(self) -> Path:
        """The TOML file that a user writes."""
        return self.config_dir / "config.toml"

    @property
    def database_file(self) -> Path:
        """Every conversation."""
        return self.data_dir / "scrubjay.db"

    @property
    def logins_dir(self) -> Path:
        """What servers of tools have granted, where there is no keyring."""
        return self.state_dir / "logins"

    @property
    def log_file(self) -> Path:
        """What went wrong, without anybody's words."""
        return self.state_dir / "scrubjay.log"


def find_paths(environ: Mapping[str, str] = os.environ) -> Paths:
    """The folders for this user on this system."""
    import platformdirs

    dirs = platformdirs.PlatformDirs("scrubjay", appauthor=False)

    def place(variable: str, default: str) -> Path:
        return Path(environ.get(variable) or default).expanduser().absolute()

    data_dir = place("SCRUBJAY_DATA_DIR", dirs.user_data_dir)
    return Paths(
        config_dir=place("SCRUBJAY_CONFIG_DIR", dirs.user_config_dir),
        data_dir=data_dir,
        state_dir=place("SCRUBJAY_STATE_DIR", dirs.user_state_dir),
        cache_dir=place("SCRUBJAY_CACHE_DIR", dirs.user_cache_dir),
        models_dir=place("SCRUBJAY_MODELS_DIR", str(data_dir / "models")),
    )


def load_settings(file: Path, environ: Mapping[str, str] = os.environ) -> Settings:
    """Read the settings file, if there is one, and the environment over it.

    Raises:
        SettingsError: The file can't be read, is not TOML, or holds an unknown key or a value of
            the wrong type; or a variable's value does not fit.
    """
    text = ""
    raw: dict[str, object] = {}
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        pass
    except UnicodeDecodeError:
        raise SettingsError(f"{file} is not text in UTF-8. Save it in that encoding.") from None
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(
            f"{file} can't be read: {reason}. Let yourself read it, or move it away."
        ) from None
    if text:
        import tomllib  # late: many have no such file

        try:
            raw = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise SettingsError(f"{file} is not valid TOML: {error}") from None
    try:
        settings = msgspec.convert(raw, Settings)
    except msgspec.ValidationError as error:
        from engine.settings_file import explain  # late: most files are right

        raise SettingsError(explain(file, text, raw, str(error))) from None
    return _override(settings, environ)


def _override(settings: Settings, environ: Mapping[str, str]) -> Settings:
    for section in settings.__struct_fields__:
        values = getattr(settings, section)
        if not isinstance(values, msgspec.Struct):
            continue
        for key in values.__struct_fields__:
            variable = f"SCRUBJAY_{section}_{key}".upper()
            written = environ.get(variable)
            if written is None or isinstance(getattr(values, key), dict):  # a table has no text
                continue
            from engine.settings_file import changed  # late: most environments have none

            try:
                settings = changed(settings, section, key, written)
            except SettingsError as error:
                raise SettingsError(f"{variable}={written!r}: {error}") from None
    return settings
