"""The command, as it is called."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest
from click.testing import CliRunner
from paths import AUSTEN, REPOSITORY
from stand_in import ANSWER, BUSY, Answer, StandIn, serving, stand_in

from speech_endpoint.cli.main import main


def _speech(*arguments: object, **env: str):
    return CliRunner().invoke(main, ["transcribe", *map(str, arguments)], env=env)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("a.mp3", "b.mp3", "sub/c.mp3"):
        (tmp_path / "in" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "in" / name).write_bytes(name.encode())
    return tmp_path / "in"


def test_help_needs_no_model_library() -> None:
    code = """
import sys
sys.argv[1:] = ["transcribe", "--help"]
from speech_endpoint.cli.main import main
try:
    main()
finally:
    assert not {"torch", "transformers", "av", "requests"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
    assert b"--num-speakers" in done.stdout


def test_one_recording_is_printed_and_nothing_else(folder: Path) -> None:
    with stand_in(Answer(200, ANSWER)) as server:
        result = _speech(folder / "a.mp3", "--endpoint", server.url, "-f", "srt")
    assert result.exit_code == 0
    number, times, *text = result.stdout.splitlines()
    assert number == "1" and times.startswith("00:00:00,000 --> ")
    assert text == ["SPEAKER_00: Hello.", ""]


def test_a_folder_keeps_its_shape_and_is_done_once(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with stand_in(Answer(200, ANSWER)) as server:
        arguments = (folder, "-r", "-o", out, "-f", "vtt", "-f", "json", "--endpoint", server.url)
        assert _speech(*arguments).exit_code == 0
        assert len(server.requests) == 3
        assert _speech(*arguments).exit_code == 0
        assert len(server.requests) == 3
        assert _speech(*arguments, "--language", "en").exit_code == 0
        assert len(server.requests) == 6
    written = {str(path.relative_to(out)) for path in out.rglob("[!.]*") if path.is_file()}
    assert written == {"a.vtt", "a.json", "b.vtt", "b.json", "sub/c.vtt", "sub/c.json"}
    assert json.loads((out / "a.json").read_text())["text"] == " Hello."


def test_one_recording_may_have_its_output_named(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "words.srt"
    with stand_in(Answer(200, ANSWER)) as server:
        assert _speech(folder / "a.mp3", "-o", out, "--endpoint", server.url).exit_code == 0
        assert out.read_text().startswith("1\n00:00:00,000 --> ")
        assert _speech(folder, "-o", out, "--endpoint", server.url).exit_code == 2
        wrong = ("-o", out, "-f", "vtt", "--endpoint", server.url)
        assert _speech(folder / "a.mp3", *wrong).exit_code == 2
        assert len(server.requests) == 1


def test_a_place_that_can_be_no_folder_is_found_before_any_work(folder: Path) -> None:
    with stand_in(Answer(200, ANSWER)) as server:
        result = _speech(folder, "-o", folder / "a.mp3", "--endpoint", server.url)
    assert result.exit_code == 2 and "a.mp3" in result.stderr and not server.requests


def test_a_recording_that_is_gone_or_cannot_be_written_beside_harms_no_other(
    folder: Path,
) -> None:
    (folder / "a.txt").mkdir()
    (folder / ("n" * 250 + ".mp3")).write_bytes(b"")
    with stand_in(Answer(200, ANSWER)) as server:
        result = _speech(folder, "--endpoint", server.url)
    assert result.exit_code == 1 and "2 of 3 failed" in result.stderr
    assert (folder / "b.txt").read_text().endswith("Hello.\n")
    assert not list(folder.glob("*.part"))


def test_a_key_that_is_refused_is_said_once(folder: Path) -> None:
    for n in range(10):
        (folder / f"{n}.mp3").write_bytes(b"")
    with stand_in(Answer(401, {})) as server:
        result = _speech(folder, "--quiet", "--jobs", "1", "--endpoint", server.url)
    assert result.exit_code == 4 and len(server.requests) == 1
    _, _, summary = result.stderr.partition("12 of 12 failed:\n")
    assert "refuses the key" in summary and "given up for it" in summary
    assert len(summary.splitlines()) <= 3


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a file that is always full")
def test_standard_output_that_is_full_is_one_line(folder: Path) -> None:
    command = [sys.executable, "-m", "speech_endpoint.cli", "transcribe", str(folder / "a.mp3")]
    with stand_in(Answer(200, ANSWER)) as server, open("/dev/full", "w") as full:
        command += ["--endpoint", server.url]
        done = subprocess.run(
            command, cwd=REPOSITORY, stdout=full, stderr=subprocess.PIPE, text=True
        )
    assert done.returncode == 1 and len(done.stderr.splitlines()) == 1


def test_ctrl_c_waits_for_no_answer_and_leaves_nothing_half_written(folder: Path) -> None:
    asked, answered = threading.Event(), threading.Event()

    class Slow(StandIn):
        def answer(self, body: bytes) -> Answer:
            asked.set()
            answered.wait(60)
            return Answer(200, ANSWER)

    with serving(Slow([])) as server:
        command = [sys.executable, "-m", "speech_endpoint.cli", "transcribe", str(folder)]
        process = subprocess.Popen(
            [*command, "--endpoint", server.url],
            cwd=REPOSITORY,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background jobs, and so these tests there, ignore it.
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        asked.wait(60)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=60)
        answered.set()
    assert process.returncode == 130 and said == "error: interrupted\n"
    assert sorted(path.name for path in folder.iterdir()) == ["a.mp3", "b.mp3", "sub"]


def test_a_file_that_fails_harms_no_other(folder: Path) -> None:
    with stand_in(Answer(400, {"error": "inputs: no audio"}), Answer(200, ANSWER)) as server:
        result = _speech(folder, "--endpoint", server.url, "--jobs", "1")
    assert result.exit_code == 1
    assert "no audio" in result.stderr and "a.mp3" in result.stderr
    assert (folder / "b.txt").exists() and not (folder / "a.txt").exists()


@pytest.mark.parametrize(
    ("answer", "code"), [(Answer(401, {}), 4), (BUSY, 75), (Answer(400, {"error": "bad"}), 1)]
)
def test_exit_codes_tell_what_went_wrong(folder: Path, answer: Answer, code: int) -> None:
    with stand_in(answer) as server:
        assert _speech(folder / "a.mp3", "--endpoint", server.url).exit_code == code
        assert _speech(folder, "--endpoint", server.url).exit_code == code


def test_nothing_found_and_a_wrong_command_line_have_codes_of_their_own(folder: Path) -> None:
    assert _speech(folder / "nowhere.mp3").exit_code == 3
    too_long = _speech(folder / ("n" * 300))
    assert too_long.exit_code == 3 and "too long" in too_long.stderr
    assert _speech(folder, "--glob", "*.xyz").exit_code == 3
    wrong = _speech(folder / "a.mp3", "--num-speakers", "0")
    assert wrong.exit_code == 2 and "num_speakers" in wrong.stderr
    assert _speech(folder, "-o", "-").exit_code == 2


def test_a_token_on_the_command_line_is_refused_without_being_repeated(folder: Path) -> None:
    result = _speech(folder, "--hf_token", "hf_secret")
    assert result.exit_code == 2 and "HF_TOKEN" in result.stderr and "secret" not in result.stderr


def test_whisperxs_spellings_are_understood(folder: Path, tmp_path: Path) -> None:
    with stand_in(Answer(200, ANSWER)) as server:
        options = ("--min_speakers", "2", "--initial_prompt", "names", "--output_format", "srt")
        result = _speech(folder / "a.mp3", *options, "--endpoint", server.url)
    assert result.exit_code == 0, result.stderr
    sent = json.loads(server.requests[0][2])["parameters"]
    assert (sent["min_speakers"], sent["prompt"]) == ("2", "names")


def test_progress_is_for_programs_where_it_is_asked_for(folder: Path) -> None:
    warned = Answer(200, ANSWER | {"warnings": ["quiet"]})
    with stand_in(warned, Answer(400, {"error": "no audio"})) as server:
        result = _speech(folder, "--json-lines", "--endpoint", server.url, "--jobs", "1")
    lines = [json.loads(line) for line in result.stderr.splitlines()]
    assert sorted(line["status"] for line in lines) == ["done", "failed", "warning"]


def test_a_recording_is_transcribed_with_the_models_of_the_environment(tmp_path: Path) -> None:
    env = {**os.environ, "ASR_MODEL": "models/whisper-tiny.en"}
    command = [sys.executable, "-m", "speech_endpoint.cli", "transcribe", "-"]
    done = subprocess.run(
        command, stdin=AUSTEN.open("rb"), cwd=REPOSITORY, env=env, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "more amiable woman" in done.stdout
