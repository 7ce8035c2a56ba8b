"""What loading the models imports, changes and says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from paths import REPOSITORY

pytestmark = pytest.mark.core


def test_asr_alone_does_not_import_pyannote() -> None:
    script = (
        "import sys, os; os.environ['ASR_MODEL'] = 'models/whisper-tiny.en'; \n"
        "os.environ.pop('DIARIZATION_MODEL', None)\n"
        "import torch; threads = torch.get_num_threads()\n"
        "from handler import EndpointHandler; EndpointHandler('.')\n"
        "assert not any(name.startswith('pyannote') for name in sys.modules)\n"
        "assert torch.get_num_threads() == threads\n"
    )
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, check=True)


@pytest.mark.parametrize("chosen", [None, "max_split_size_mb:128"])
def test_pytorch_is_told_how_to_take_a_gpus_memory_before_it_is_imported(
    chosen: str | None,
) -> None:
    script = (
        "import os, sys\n"
        "class Finder:\n"
        "    def find_spec(name, *_):\n"
        "        if name == 'torch':\n"
        "            print(os.environ.get('PYTORCH_CUDA_ALLOC_CONF'))\n"
        "            os._exit(sys.stdout.flush() or 0)\n"
        "sys.meta_path.insert(0, Finder)\n"
        "import handler\n"
    )
    name = "PYTORCH_CUDA_ALLOC_CONF"
    environment = {key: value for key, value in os.environ.items() if "ALLOC_CONF" not in key}
    environment |= {name: chosen} if chosen else {}
    told = subprocess.check_output(
        [sys.executable, "-c", script], cwd=REPOSITORY, env=environment, text=True
    )
    assert told.strip() == (chosen or "expandable_segments:True")


def test_speakers_need_no_home_and_no_place_for_temporary_files() -> None:
    """As in a container with a read-only root and an unknown user."""
    script = (
        "import pwd, tempfile\n"
        "tempfile.tempdir = '/proc/nowhere'\n"
        "def unknown(uid): raise KeyError(uid)\n"
        "pwd.getpwuid = unknown\n"
        "from speech_endpoint.diarization.diarizer import Diarizer\n"
        "Diarizer('models/speaker-diarization', token=None, device='cpu')\n"
    )
    nowhere = dict.fromkeys(("TMPDIR", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"), "/proc/nowhere")
    removed = {"HOME", "USER", "LOGNAME", "MPLCONFIGDIR", "TORCHINDUCTOR_CACHE_DIR"}
    homeless = {name: value for name, value in os.environ.items() if name not in removed} | nowhere
    subprocess.run([sys.executable, "-c", script], cwd=REPOSITORY, env=homeless, check=True)


@pytest.fixture
def hub(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of a Hub that answers every request with the status in `request.param`."""

    class Refusal(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_HEAD = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusal) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("hub", [404, 401], indirect=True)
def test_a_model_that_the_hub_does_not_give_is_named_and_the_token_is_not(
    hub: str, tmp_path: Path
) -> None:
    environment = os.environ | {
        "ASR_MODEL": "nobody/no-such-model",
        "HF_TOKEN": "hf_verysecret",
        "HF_ENDPOINT": hub,
        "HF_HOME": str(tmp_path),
        "NO_PROXY": "127.0.0.1",
    }
    script = "from handler import EndpointHandler; EndpointHandler('.')"
    ended = subprocess.run(
        [sys.executable, "-c", script],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode != 0
    assert re.search(r"^\S*ModelUnavailable: .*'nobody/no-such-model'", ended.stderr, re.MULTILINE)
    assert "verysecret" not in ended.stdout + ended.stderr
