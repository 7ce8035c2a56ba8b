"""What is installed: the package alone, and a command that needs no models elsewhere."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from paths import REPOSITORY
from stand_in import ANSWER, Answer, stand_in

pytestmark = pytest.mark.pure

BUILD = "from setuptools.build_meta import build_wheel; import sys; print(build_wheel(sys.argv[1]))"
# Run where it is unpacked, as where nothing but requirements-cli.txt is installed.
SPEECH = """
import sys
HEAVY = ("torch", "numpy", "scipy", "transformers", "av", "pyannote", "safetensors", "starlette")
sys.modules.update(dict.fromkeys(HEAVY))
from speech_endpoint.cli.main import main
sys.exit(main(prog_name="speech"))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, as pip unpacks it; built of a copy, for building writes beside its source."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", *REPOSITORY.glob("requirements*.txt")):
        shutil.copy(REPOSITORY / name, source)
    for name in ("handler.py", "config.py", "diarization_utils.py"):
        shutil.copy(REPOSITORY / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "speech_endpoint", source / "speech_endpoint", ignore=ignored)
    command = [sys.executable, "-c", BUILD, str(folder)]
    built = subprocess.run(command, cwd=source, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def _speech(installed: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", SPEECH, *map(str, arguments)]
    return subprocess.run(command, cwd=installed, capture_output=True, text=True)


def test_nothing_but_the_package_is_installed_and_all_of_it(installed: Path) -> None:
    (package,) = (path for path in installed.iterdir() if not path.name.endswith(".dist-info"))
    assert package.name == "speech_endpoint"
    ours = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "speech_endpoint").rglob("*")
        if path.is_file() and path.suffix not in (".pyc", ".md")
    }
    theirs = {p.relative_to(installed).as_posix() for p in package.rglob("*") if p.is_file()}
    assert theirs == ours


def test_help_and_an_endpoint_need_none_of_the_heavy_packages(
    installed: Path, tmp_path: Path
) -> None:
    assert "transcribe" in _speech(installed, "--help").stdout
    recording = tmp_path / "a.mp3"
    recording.write_bytes(b"sound")
    with stand_in(Answer(200, ANSWER)) as server:
        done = _speech(installed, "transcribe", recording, "--endpoint", server.url)
    assert done.stdout.endswith("SPEAKER_00: Hello.\n"), done.stderr
    verbose = {
        "language": "english",
        "duration": 1.0,
        "segments": [{"start": 0.0, "end": 1.0, "text": " Hello.", "speaker": "A"}],
    }
    with stand_in(Answer(200, verbose)) as server:
        done = _speech(installed, "transcribe", recording, "--openai", "--endpoint", server.url)
    assert done.stdout.endswith("A: Hello.\n"), done.stderr


def test_what_is_missing_here_is_said_in_one_line(installed: Path, tmp_path: Path) -> None:
    recording = tmp_path / "a.mp3"
    recording.write_bytes(b"sound")
    done = _speech(installed, "transcribe", recording)
    assert done.returncode == 78
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: there is no ") and "--endpoint" in line
