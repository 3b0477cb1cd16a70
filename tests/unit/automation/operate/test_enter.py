"""`fed shell` and `fed open`: what they refuse, in words."""

import pytest

from automation.operate import enter, logs, machines
from automation.operate.emulated import running_datacentre
from automation.ui.options import On
from automation.ui.outcome import QuestionError, RefusedError
from tests.unit.support.stack_outputs import stack_outputs

OUTPUTS = stack_outputs("hungary")


def test_a_party_is_found_by_its_name_or_the_others_are_named() -> None:
    assert machines.of(OUTPUTS, "centre") == "/centre/vm"
    assert machines.of(OUTPUTS, "hungary") == "/hungary/vm"
    with pytest.raises(QuestionError, match="basel is no party of this stack: it has centre, hungary"):
        machines.of(OUTPUTS, "basel")


def test_on_azure_nobody_gets_into_a_vm() -> None:
    with pytest.raises(QuestionError, match="nobody can open a connection to a VM"):
        enter.shell("dev", On.AZURE, "hungary", None, None)
    with pytest.raises(QuestionError, match="run command"):
        enter.open_page("dev", On.AZURE, "mlflow", 0, None)


def test_the_last_lines_of_a_log(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    class Deployed:
        emulator, name = object(), "dev"

    class Datacentre:
        def logs(self, machine: str, container: str, *, follow: bool) -> list[bytes]:
            return [b"one\ntw", b"o\nthr\xc3", b"\xa9e\n2026-12-01T16:00:00Z four\n"]

    monkeypatch.setattr(logs, "open_deployed", lambda *_: Deployed())
    monkeypatch.setattr(logs.deploy, "outputs", lambda _: OUTPUTS)
    monkeypatch.setattr(logs, "running_datacentre", lambda _: Datacentre())
    logs.show("dev", On.EMULATOR, "hungary", "fl-client", follow=False, tail=2)
    assert capsys.readouterr().out == ("thr\N{LATIN SMALL LETTER E WITH ACUTE}e\n2026-12-01T16:00:00Z four\n")
    logs.show("dev", On.EMULATOR, "hungary", "fl-client", follow=False, since="2026-12-01T16:00:00Z")
    assert capsys.readouterr().out == "2026-12-01T16:00:00Z four\n"
    with pytest.raises(QuestionError, match="leave --since out"):
        logs.show("dev", On.EMULATOR, "hungary", "fl-client", follow=True, since="5m")
    with pytest.raises(QuestionError, match="leave --tail out"):
        logs.show("dev", On.EMULATOR, "hungary", "fl-client", follow=True, tail=2)


def test_where_no_vm_runs_the_command_that_starts_them_is_named() -> None:
    class Nothing:
        emulator, name = None, "dev"

    with pytest.raises(RefusedError, match="fed up dev"):
        running_datacentre(Nothing())  # type: ignore[arg-type]
