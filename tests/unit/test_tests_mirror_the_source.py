"""Where a test is follows from what it tests: each folder of tests is named after the folder of source."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from clone import paths

ROOT = paths.REPOSITORY
TESTS = ROOT / "tests"
HERE = Path(__file__).resolve()

# tests/unit mirrors the whole repository, the other two one folder of it each.
SOURCE_OF = {
    TESTS / "unit": ROOT,
    TESTS / "emulator": ROOT / "emulator",
    TESTS / "datacentre": ROOT / "emulator" / "datacentre",
}


def folders_of_tests() -> Iterator[tuple[Path, Path]]:
    """(a folder that holds test modules, the folder of source that it must mirror), each once."""
    for tests, source in SOURCE_OF.items():
        for folder in sorted({file.parent for file in tests.rglob("test_*.py") if file != HERE}):
            yield folder, source / folder.relative_to(tests)


def of_an_image(folder: Path) -> Path:
    """Where it is in an image's package that has its image's name (container_server/container_server)."""
    return folder.parent / folder.parent.name / folder.name


@pytest.mark.parametrize(
    ("folder", "source"),
    [pytest.param(*pair, id=str(pair[0].relative_to(TESTS))) for pair in folders_of_tests()],
)
def test_every_folder_of_tests_mirrors_one_of_the_source(folder: Path, source: Path) -> None:
    assert source.is_dir() or of_an_image(source).is_dir(), (
        f"{folder.relative_to(ROOT)}: there is no {source.relative_to(ROOT)}. Fix: put each test into the "
        "folder that is named after what it tests (tests/unit/automation/operate for automation/operate)"
    )


def test_no_test_of_units_is_outside_the_mirror() -> None:
    loose = {file.name for file in (TESTS / "unit").glob("test_*.py")} - {HERE.name}
    assert not loose, "Fix: put each into the folder that is named after what it tests"
