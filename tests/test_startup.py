"""What loading the models imports, changes and says."""

from __future__ import annotations

import subprocess
import sys

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


def test_a_model_that_is_nowhere_is_named() -> None:
    from handler import EndpointHandler

    patch = pytest.MonkeyPatch()
    patch.setenv("ASR_MODEL", "nobody/no-such-model")
    patch.setenv("HF_TOKEN", "hf_verysecret")
    try:
        with pytest.raises(RuntimeError, match="nobody/no-such-model") as caught:
            EndpointHandler(str(REPOSITORY))
        assert "verysecret" not in str(caught.value)
    finally:
        patch.undo()
