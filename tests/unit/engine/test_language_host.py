"""The language host as the engine uses it, over gRPC."""

import json
import os
import re
import select
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest
from google.protobuf import empty_pb2
from pulumi.runtime.proto import language_pb2, language_pb2_grpc

from clone import paths
from engine.language_host import shows_debug_messages
from tests.emulator.engine_support import engine_folder

HOST = paths.REPOSITORY / "engine" / "bin" / "pulumi-language-python"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    folder.mkdir()
    named = f"name: p\nruntime:\n  name: python\n  options:\n    virtualenv: {sys.prefix}  # the tests' own\n"
    (folder / "Pulumi.yaml").write_text(named)
    return folder


@contextmanager
def host(folder: Path) -> Iterator[tuple[language_pb2_grpc.LanguageRuntimeStub, "subprocess.Popen[str]"]]:
    process = start(folder)
    assert process.stdout
    port = process.stdout.readline().strip()
    assert port.isdigit(), process.communicate()[1]
    try:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            yield language_pb2_grpc.LanguageRuntimeStub(channel), process
    finally:
        process.terminate()
        process.communicate(timeout=10)


def start(folder: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [HOST], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ)
    )


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        (["preview"], False),
        (["--diff"], False),
        (["--debug"], True),
        (["--debug=true"], True),
        (["-d"], True),
        (["--logtostderr", "-v=9"], True),
    ],
)
def test_an_engine_that_shows_debug_messages_is_known_by_its_options(options: list[str], shown: bool) -> None:
    command = ["/bin/sh", "-c", "echo started; read line", "pulumi", *options]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as engine:
        assert engine.stdout and engine.stdout.readline() == b"started\n"
        assert shows_debug_messages(engine.pid) is shown
        engine.terminate()


class TestInterpreter:
    def test_the_project_names_it(self, project: Path) -> None:
        with host(project) as (stub, _):
            assert stub.About(language_pb2.AboutRequest()).executable == f"{sys.prefix}/bin/python"

    def test_a_folder_of_the_project_will_do(self, project: Path) -> None:
        (project / "inner").mkdir()
        with host(project / "inner") as (stub, _):
            assert stub.About(language_pb2.AboutRequest()).executable == f"{sys.prefix}/bin/python"

    def test_both_forms_of_yaml_are_read(self, project: Path) -> None:
        flow = f'name: p\nruntime: {{name: python, options: {{virtualenv: "{sys.prefix}"}}}}\n'
        (project / "Pulumi.yaml").write_text(flow)
        with host(project) as (stub, _):
            assert stub.About(language_pb2.AboutRequest()).executable == f"{sys.prefix}/bin/python"

    def test_a_missing_environment_is_named_with_the_mend(self, project: Path) -> None:
        (project / "Pulumi.yaml").write_text("runtime:\n  name: python\n  options:\n    virtualenv: .venv\n")
        process = start(project)
        out, err = process.communicate(timeout=10)
        assert (process.returncode, out) == (1, "")
        assert f"{project}/.venv/bin/python does not exist" in err
        assert "Make it with ./fed" in err


class TestTheHost:
    def test_it_ends_on_a_signal_without_a_word(self, project: Path) -> None:
        with host(project) as (_, process):
            process.send_signal(2)
            _, err = process.communicate(timeout=10)
            assert (process.returncode, err) == (0, "")

    def test_it_ends_when_the_engine_was_killed(self, project: Path) -> None:
        reader = "import sys, time; sys.stdin.readline(); print('read', flush=True); time.sleep(60)"
        engine = subprocess.Popen(
            [sys.executable, "-c", reader], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert engine.stdin
        assert engine.stdout
        started = subprocess.Popen([HOST], cwd=project, stdout=engine.stdin)
        engine.stdin.close()
        assert engine.stdout.readline() == "read\n"
        assert started.poll() is None
        engine.kill()
        engine.wait()
        assert started.wait(timeout=10) == 0
        engine.stdout.close()

    def test_it_names_the_plugins_of_the_installed_sdks(self, project: Path) -> None:
        with host(project) as (stub, _):
            packages = stub.GetRequiredPackages(language_pb2.GetRequiredPackagesRequest()).packages
        assert {"azure-native", "docker", "random"} <= {package.name for package in packages}

    def test_it_lists_what_is_installed(self, project: Path) -> None:
        with host(project) as (stub, _):
            found = stub.GetProgramDependencies(language_pb2.GetProgramDependenciesRequest()).dependencies
        assert "pulumi" in {dependency.name for dependency in found}

    def test_a_policy_pack_runs_with_its_output_and_its_exit_code(self, project: Path) -> None:
        (project / "__main__.py").write_text(
            "import os, sys\nprint(os.environ['A'], sys.argv[1:])\nsys.stderr.write('oh')\nsys.exit(3)\n"
        )
        info = language_pb2.ProgramInfo(program_directory=str(project))
        with host(project) as (stub, _):
            request = language_pb2.RunPluginRequest(
                pwd=str(project), args=["engine"], env=["A=b=c"], info=info
            )
            answers = list(stub.RunPlugin(request))
        assert b"".join(answer.stdout for answer in answers) == b"b=c ['engine']\n"
        assert b"".join(answer.stderr for answer in answers) == b"oh"
        assert answers[-1].exitcode == 3

    def test_a_policy_pack_ends_with_the_host(self, project: Path) -> None:
        (project / "__main__.py").write_text("import os, time\nprint(os.getpid())\ntime.sleep(60)\n")
        info = language_pb2.ProgramInfo(program_directory=str(project))
        with host(project) as (stub, process):
            answers = stub.RunPlugin(language_pb2.RunPluginRequest(pwd=str(project), info=info))
            pack = os.pidfd_open(int(next(iter(answers)).stdout))
            process.terminate()
            assert select.select([pack], [], [], 10)[0]
            os.close(pack)

    def test_it_is_asked_for_its_version_and_told_to_cancel(self, project: Path) -> None:
        with host(project) as (stub, _):
            assert stub.GetPluginInfo(empty_pb2.Empty()).version
            stub.Cancel(empty_pb2.Empty())


class TestPrograms:
    """On the real engine, without any provider."""

    @pytest.fixture
    def stack(self, tmp_path: Path, project: Path) -> Callable[..., "subprocess.CompletedProcess[str]"]:
        (tmp_path / "backend").mkdir()
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("PULUMI")},
            "PATH": os.pathsep.join([str(HOST.parent), str(engine_folder()), os.environ["PATH"]]),
            "PULUMI_BACKEND_URL": f"file://{tmp_path}/backend",
            "PULUMI_CONFIG_PASSPHRASE": "",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

        def pulumi(*arguments: str) -> "subprocess.CompletedProcess[str]":
            return subprocess.run(
                ["pulumi", *arguments, "--non-interactive"],
                cwd=project,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=False,
            )

        assert pulumi("stack", "init", "s").returncode == 0
        return pulumi

    def test_a_program_sees_its_folder_its_settings_and_nothing_of_the_host(
        self, project: Path, stack: Callable[..., "subprocess.CompletedProcess[str]"]
    ) -> None:
        (project / "neighbour.py").write_text("VALUE = 'neighbour'\n")
        (project / "__main__.py").write_text(
            "import sys, importlib.util\nimport pulumi, neighbour\n"
            "assert importlib.util.find_spec('language_host') is None\n"
            "assert __name__ == '__main__' and sys.modules['__main__'].__file__ == __file__\n"
            "pulumi.export('seen', [neighbour.VALUE, pulumi.Config().require('word'), pulumi.get_stack()])\n"
        )
        stack("config", "set", "word", "hello")
        done = stack("up", "--yes")
        assert done.returncode == 0, done.stdout
        assert json.loads(stack("stack", "output", "seen", "--json").stdout) == ["neighbour", "hello", "s"]

    def test_a_program_has_lean_outputs_and_imports_lazily(
        self, project: Path, stack: Callable[..., "subprocess.CompletedProcess[str]"]
    ) -> None:
        (project / "__main__.py").write_text(
            "import pulumi, sys\nfrom pulumi_azure_native import storage\n"
            "pulumi.export('maker', pulumi.runtime.rpc.transfer_properties.__module__)\n"
            "pulumi.export('whole', 'pulumi_azure_native.storage.blob' in sys.modules)\n"
        )
        done = stack("preview")
        assert done.returncode == 0, done.stdout
        assert re.search(r'maker *: "lean_outputs"', done.stdout), done.stdout
        assert re.search(r"whole *: false", done.stdout), done.stdout

    @pytest.mark.parametrize(
        ("options", "shown"),
        [([], False), (["--debug"], True)],
    )
    def test_debug_messages_are_sent_to_an_engine_that_shows_them(
        self,
        project: Path,
        stack: Callable[..., "subprocess.CompletedProcess[str]"],
        options: list[str],
        shown: bool,
    ) -> None:
        (project / "__main__.py").write_text("import pulumi\npulumi.log.debug('sent ' + 'it')\n")
        done = stack("preview", *options)
        assert done.returncode == 0, done.stdout
        assert ("sent it" in done.stdout + done.stderr) is shown

    @pytest.mark.parametrize(
        ("ending", "words", "unwanted"),
        [
            ("raise ValueError('oh no')", "ValueError: oh no", "language_host.py"),
            ("raise pulumi.RunError('the settings are wrong')", "error: the settings are wrong", "Traceback"),
            ("sys.exit(3)", "the program ended with exit code 3", "Traceback"),
            ("def f(:", "SyntaxError", "language_host.py"),
        ],
    )
    def test_a_program_that_fails_says_why_and_no_more(
        self,
        project: Path,
        stack: Callable[..., "subprocess.CompletedProcess[str]"],
        ending: str,
        words: str,
        unwanted: str,
    ) -> None:
        (project / "__main__.py").write_text(f"import sys\nimport pulumi\n{ending}\n")
        done = stack("preview")
        assert done.returncode != 0
        assert words in done.stdout
        assert unwanted not in done.stdout.replace("using pulumi-language-python", "")
