"""Python language host: runs a Pulumi program for an engine that was built from source.

The official release brings its own host (a Go program); the module proxy does not serve it, so an engine
built from its Go module has none (docs/adr/0030-language-host.md). This one serves the LanguageRuntime gRPC
service and runs the program in its own process, which saves the start of a second interpreter.

It does not generate, pack or link code (``pulumi convert``, ``pulumi package``): the engine reports those
methods as unimplemented.

Usage (by the engine only): ``pulumi-language-python [engine address]``; prints its port on the first line.
"""

import asyncio
import contextlib
import gc
import importlib.metadata
import importlib.util
import json
import logging
import os
import queue
import re
import runpy
import select
import shutil
import signal
import subprocess
import sys
import sysconfig
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from concurrent import futures
from pathlib import Path
from types import FrameType
from typing import Any, ClassVar

import grpc
from google.protobuf import empty_pb2
from pulumi import log
from pulumi.errors import RunError
from pulumi.runtime import reset_options, resource, run_in_stack, set_all_config
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2, source_pb2

WITHOUT = "FED_HOST_WITHOUT"
"""Environment variable: seams, separated by commas, that this host leaves as the SDK has them.

A seam is where the host reaches into what Pulumi's SDK calls private, for the sake of time or memory alone:
with and without it an `up` makes the same state (tests/emulator/plugins/test_seams.py). After an update of
the SDK that breaks one, this switches it off.
"""
LAZY_SDK, LEAN_OUTPUTS, STACK_TRACE = SEAMS = ("lazy_sdk", "lean_outputs", "stack_trace")
UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """The LanguageRuntime service of one engine process.

    `engine_address` (host:port of the engine's own gRPC service) comes with the start or the handshake.
    """

    def __init__(self, engine_address: str = "") -> None:
        self.engine_address = engine_address

    def Handshake(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Remember where the engine listens: the program logs through it."""
        self.engine_address = request.engine_address or self.engine_address
        return language_pb2.LanguageHandshakeResponse()

    def GetPluginInfo(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Name the version of this host: that of the Pulumi SDK that it is built on."""
        return plugin_pb2.PluginInfo(version=importlib.metadata.version("pulumi"))

    def About(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Name the interpreter for ``pulumi about``."""
        return language_pb2.AboutResponse(executable=sys.executable, version=sys.version.split()[0])

    def Cancel(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Let a running program end by itself: the engine refuses its next call, then ends this process."""
        return empty_pb2.Empty()

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Ask nothing: the options of the project file are enough."""
        return language_pb2.RuntimeOptionsResponse()

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: N802
        """List the provider plugins that the installed SDK packages name in their ``pulumi-plugin.json``."""
        return language_pb2.GetRequiredPackagesResponse(
            packages=[
                plugin_pb2.PackageDependency(
                    name=plugin["name"],
                    kind="resource",
                    version=f"v{plugin['version']}" if plugin.get("version") else "",
                    server=plugin.get("server", ""),
                )
                for plugin in required_plugins(Path(sysconfig.get_path("purelib")))
            ]
        )

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:  # noqa: N802
        """List the installed distributions for ``pulumi about``."""
        found = {found.name: found.version for found in importlib.metadata.distributions()}
        return language_pb2.GetProgramDependenciesResponse(
            dependencies=[
                language_pb2.DependencyInfo(name=name, version=found[name]) for name in sorted(found)
            ]
        )

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        """Install requirements.txt of the program into this environment (``pulumi install``)."""
        requirements = Path(request.info.program_directory or request.directory) / "requirements.txt"
        if not requirements.is_file():
            return
        uv = shutil.which("uv")
        pip = (
            [uv, "pip", "install", "--python", sys.executable]
            if uv
            else [sys.executable, "-m", "pip", "install"]
        )
        stream = Stream([*pip, "-r", str(requirements)], requirements.parent, dict(os.environ))
        context.add_callback(stream.stop)
        for name, chunk in stream:
            yield language_pb2.InstallDependenciesResponse(**{name: chunk})
        if code := stream.wait():
            context.abort(grpc.StatusCode.UNKNOWN, f"installing {requirements} ended with exit code {code}")

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        """Run a plugin written in Python (a policy pack): its output as it comes, then its exit code."""
        program = request.info.program_directory or request.program
        environment = dict(line.split("=", 1) for line in request.env) or dict(os.environ)
        python = interpreter(program, dict(request.info.options))
        stream = Stream([python, "-u", program, *request.args], Path(request.pwd or program), environment)
        context.add_callback(stream.stop)
        for name, chunk in stream:
            yield (
                language_pb2.RunPluginResponse(stdout=chunk)
                if name == "stdout"
                else language_pb2.RunPluginResponse(stderr=chunk)
            )
        yield language_pb2.RunPluginResponse(exitcode=stream.wait())

    def Run(self, request: Any, context: Any) -> Any:  # noqa: N802
        """Run the program once. What it must report is in the answer: `bail` when it has already said so."""
        folder = Path(request.info.program_directory or request.pwd)
        entry = folder / (request.info.entry_point or ".")
        reset_options(
            project=request.project,
            stack=request.stack,
            organization=request.organization or "organization",
            monitor_address=request.monitor_address,
            engine_address=self.engine_address,
            parallel=request.parallel,
            preview=request.dryRun,
        )
        set_all_config(dict(request.config), list(request.configSecretKeys))
        if uses(STACK_TRACE):
            resource._get_stack_trace = stack_of(folder)
        with isolated(folder, Path(request.pwd or folder), [str(entry), *request.args]):
            return run_program(entry, max(request.parallel, 1))


def run_program(entry: Path, parallel: int) -> Any:
    """Run the program at `entry` (a file, or a folder with ``__main__.py``) to its end."""
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)  # what a failed program leaves is reported once
    loop = asyncio.new_event_loop()
    loop.set_default_executor(futures.ThreadPoolExecutor(max_workers=parallel * 4))
    loop.set_exception_handler(stop_when_the_engine_left)
    try:
        loop.run_until_complete(run_in_stack(lambda: run_path(entry)))
    except RunError as error:
        log.error(str(error))
        return language_pb2.RunResponse(bail=True)
    except grpc.RpcError as error:
        if error.code() == grpc.StatusCode.UNAVAILABLE:  # the engine is shutting down and has said why
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"the engine refused a call of the program: {error.details()}")
    except SystemExit as end:
        if end.code:
            return language_pb2.RunResponse(error=f"the program ended with exit code {end.code}")
    except BaseException as error:  # the engine must hear of anything that the program raises
        log.error("Program failed with an unhandled exception:\n" + program_traceback(error, entry))
        return language_pb2.RunResponse(bail=True)
    finally:
        close(loop)
        sys.stdout.flush()
        sys.stderr.flush()
    return language_pb2.RunResponse()


def run_path(entry: Path) -> None:
    """Run a program as ``python <entry>`` would."""
    runpy.run_path(str(entry), run_name="__main__")


def program_traceback(error: BaseException, entry: Path) -> str:
    """Return the traceback of `error` from the program's first frame on, without the frames of this host."""
    folder = str(entry if entry.is_dir() else entry.parent)
    trace = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith(folder):
        trace = trace.tb_next
    if trace is None:  # it did not even begin, as with a syntax error in its first file
        return "".join(traceback.format_exception_only(error))
    return "".join(traceback.format_exception(type(error), error, trace))


def stop_when_the_engine_left(loop: asyncio.AbstractEventLoop, details: dict[str, Any]) -> None:
    """Stop the loop when a call to the engine failed outside any task; report everything else as usual."""
    if isinstance(details.get("exception"), grpc.RpcError):
        loop.stop()
    else:
        loop.default_exception_handler(details)


def close(loop: asyncio.AbstractEventLoop) -> None:
    """Cancel what is left in the loop, then close it."""
    for task in asyncio.all_tasks(loop):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task)
    loop.close()


def stack_of(program: Path) -> Callable[[], Any]:
    """Return what finds the stack trace of a resource: the frames of the program that led to it, no others.

    The SDK's own adds some twenty frames of the host, the event loop and the gRPC server to each resource in
    the state, and reads the source of every one. Measured with 233 resources: a third of the state.
    """
    inside, environment = f"{program.resolve()}{os.sep}", f"{Path(sys.prefix).resolve()}{os.sep}"

    def trace() -> Any:
        frame: FrameType | None = sys._getframe(1)
        constructors = 0
        while (
            frame and constructors < 3
        ):  # Resource, then Custom- or ComponentResource, then the class itself
            constructors += frame.f_code.co_name == "__init__"
            frame = frame.f_back
        frames = []
        while frame:
            file = frame.f_code.co_filename
            if file.startswith(inside) and not file.startswith(environment) and file != __file__:
                position = source_pb2.SourcePosition(uri=Path(file).as_uri(), line=frame.f_lineno)
                frames.append(source_pb2.StackFrame(pc=position))
            frame = frame.f_back
        return source_pb2.StackTrace(frames=frames)

    return trace


class isolated:  # noqa: N801 reads as a statement
    """Give a program its folder, arguments and import path; take back what it imported from there.

    A second run in the same process (the engine may preview and then update) so sees its modules afresh.
    """

    def __init__(self, folder: Path, directory: Path, arguments: list[str]) -> None:
        self.folder, self.directory, self.arguments = folder.resolve(), directory, arguments

    def __enter__(self) -> None:
        self.before = (Path.cwd(), sys.argv, list(sys.path))
        os.chdir(self.directory)
        sys.argv = self.arguments
        sys.path.insert(0, str(self.folder))

    def __exit__(self, *_: object) -> None:
        directory, sys.argv, sys.path[:] = self.before
        os.chdir(directory)
        environment = Path(sys.prefix).resolve()
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name == "__main__" or not file:
                continue
            path = Path(file).resolve()
            if path.is_relative_to(self.folder) and not path.is_relative_to(environment):
                del sys.modules[name]


class Stream:
    """A child process whose output is read as it comes: iterate for ("stdout" or "stderr", bytes)."""

    running: ClassVar[set["Stream"]] = set()

    def __init__(self, command: list[str], directory: Path, environment: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(  # noqa: S603 the engine names the program, we name the interpreter
            command, cwd=directory, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.chunks: queue.Queue[tuple[str, bytes]] = queue.Queue()
        self.running.add(self)
        for name in ("stdout", "stderr"):
            threading.Thread(target=self._pump, args=(name,), daemon=True).start()

    def _pump(self, name: str) -> None:
        pipe = getattr(self.process, name)
        while chunk := pipe.read1(65536):
            self.chunks.put((name, chunk))
        self.chunks.put((name, b""))

    def __iter__(self) -> Iterator[tuple[str, bytes]]:
        ended = 0
        while ended < 2:
            name, chunk = self.chunks.get()
            if chunk:
                yield name, chunk
            else:
                ended += 1

    def stop(self) -> None:
        """End the process if it still runs: the engine has lost interest."""
        if self.process.poll() is None:
            self.process.terminate()

    def wait(self) -> int:
        """Return the exit code."""
        code = self.process.wait()
        self.running.discard(self)
        return code


def interpreter(program: str, options: Mapping[str, Any]) -> str:
    """Return the Python of the plugin's own virtual environment, or this one when it names none."""
    named = options.get("virtualenv")
    if not named:
        return sys.executable
    python = Path(program, named, "bin", "python")
    if not python.exists():
        raise FileNotFoundError(f"{program} names the virtual environment {named}, but it has no {python}")
    return str(python)


def required_plugins(packages: Path) -> list[dict[str, Any]]:
    """Return the ``pulumi-plugin.json`` of every installed SDK package that needs a resource plugin."""
    found = (json.loads(file.read_text()) for file in sorted(packages.glob("*/pulumi-plugin.json")))
    return [plugin for plugin in found if plugin.get("resource") and plugin.get("name")]


def serve(arguments: list[str]) -> None:
    """Serve one engine until it goes: print the port, then wait for the signal that ends us."""
    addresses = [argument for argument in arguments if not argument.startswith("-")]
    if uses(LAZY_SDK):
        sys.meta_path.insert(0, neighbour(LAZY_SDK).Finder())
    if uses(LEAN_OUTPUTS):
        neighbour(LEAN_OUTPUTS).install()
    server = grpc.server(futures.ThreadPoolExecutor(max_workers=8), options=UNLIMITED)
    language_pb2_grpc.add_LanguageRuntimeServicer_to_server(LanguageHost(*addresses[:1]), server)
    port = server.add_insecure_port("127.0.0.1:0")
    for ended_by in (signal.SIGINT, signal.SIGTERM):
        signal.signal(ended_by, leave)
    server.start()
    if not shows_debug_messages(os.getppid()):
        log.debug = lambda *_, **__: None
    gc.disable()  # one program, then the process ends: looking for garbage only takes time
    print(port, flush=True)
    wait_for_end_of_reader(sys.stdout.fileno())
    leave()


def uses(seam: str) -> bool:
    """Tell whether a seam is in use (see `WITHOUT`)."""
    return seam not in os.environ.get(WITHOUT, "").split(",")


def shows_debug_messages(engine: int) -> bool:
    """Tell whether an engine was started with ``--debug`` or ``--verbose``, whatever their spelling.

    Otherwise it drops the SDK's debug messages, for each of which the program would wait: several a resource.
    """
    try:
        words = Path(f"/proc/{engine}/cmdline").read_text().split("\0")
    except OSError:  # it has just ended
        return True
    return any(re.fullmatch(r"--debug(=.*)?|--verbose(=.*)?|-[a-zA-Z]*[dv].*", word) for word in words)


def neighbour(name: str) -> Any:
    """Import a module that is next to this file, on whose folder a program's imports must not look."""
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    if not spec or not spec.loader:
        raise ImportError(f"{name}.py is not next to {__file__}")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def wait_for_end_of_reader(pipe: int) -> None:
    """Return when nobody reads a pipe any more: an engine that was killed says nothing, its pipes close."""
    closed = select.poll()
    closed.register(pipe, 0)  # an error is always reported
    while not closed.poll(200):  # milliseconds: a signal that comes just before it would not end it
        pass


def leave(_signal: int = 0, _frame: FrameType | None = None) -> None:
    """Go at once and without a word: a KeyboardInterrupt would land in the user's diagnostics."""
    for stream in list(Stream.running):
        stream.stop()
    os._exit(0)


if __name__ == "__main__":
    serve(sys.argv[1:])
