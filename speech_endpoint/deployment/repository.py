"""The endpoint's repository on the Hub: what of this folder it holds, and what differs."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import RepositoryNotFoundError
from huggingface_hub.hf_api import RepoFile

from speech_endpoint.deployment.errors import DeploymentError, explained
from speech_endpoint.deployment.wish import BUNDLE, Diarization

PACKAGE = "speech_endpoint"
DOORS = ("handler.py", "config.py", "diarization_utils.py")
REQUIREMENTS = "requirements.txt"
PAPERS = ("README.md", "LICENSE", "docs/page.png")
LEFT_OUT = frozenset({"__pycache__"})
DIARIZATION_REQUIREMENT = b"pyannote.audio"
"""It replaces the container's PyTorch at every start; who does not diarize starts sooner."""


@dataclass(frozen=True, slots=True)
class Push:
    """What a commit would change."""

    repository: str
    exists: bool
    revision: str | None
    """Of its main branch; None: there is none yet."""
    added: dict[str, bytes | Path]
    """Files that differ, or that the Hub has not."""
    deleted: tuple[str, ...]
    """Modules that are here no longer."""

    @property
    def is_needed(self) -> bool:
        return bool(self.added or self.deleted)


def local_files(folder: Path, diarize: Diarization) -> dict[str, bytes | Path]:
    """What of a clone the endpoint needs, by its path in the repository; empty: it is no clone.

    Raises:
        DeploymentError: the bundle is asked for, and is not there.
    """
    if not (folder / "handler.py").is_file() or not (folder / PACKAGE / "pipeline.py").is_file():
        return {}
    names = [*DOORS, *PAPERS]
    names += _beneath(folder, PACKAGE)
    if diarize == "bundle":
        if not (folder / BUNDLE).is_dir():
            raise DeploymentError(
                "configuration", f"--diarize bundle: {BUNDLE} is not there; `make models` builds it"
            )
        names += _beneath(folder, BUNDLE)
    files: dict[str, bytes | Path] = {
        name: folder / name for name in names if (folder / name).is_file()
    }
    files[REQUIREMENTS] = _requirements((folder / REQUIREMENTS).read_bytes(), diarize)
    return files


def compare(api: HfApi, repository: str, files: dict[str, bytes | Path]) -> Push:
    """What of `files` the Hub has not, or has otherwise.

    Raises:
        DeploymentError: the Hub cannot be asked, or there is nothing to push and no repository.
    """
    with explained(f"reading {repository}"):
        try:
            revision = api.model_info(repository).sha
            entries = api.list_repo_tree(repository, recursive=True)
            there = {entry.path: entry for entry in entries if isinstance(entry, RepoFile)}
        except RepositoryNotFoundError:
            if not files:
                raise DeploymentError(
                    "configuration",
                    f"{repository} is not on the Hub, and this folder is no clone of the project;"
                    " run the command in one, or name a repository with --repo",
                ) from None
            return Push(repository, False, None, files, ())
    added = {
        name: content
        for name, content in files.items()
        if name not in there or not _is_same(there[name], content)
    }
    stale = (name for name in there if name.startswith(f"{PACKAGE}/") and name not in files)
    return Push(repository, True, revision, added, tuple(stale) if files else ())


def push(api: HfApi, plan: Push) -> str | None:
    """Make the Hub's repository what the plan says, private where it is new; its revision.

    Raises:
        DeploymentError: the Hub refuses.
    """
    if not plan.is_needed:
        return plan.revision
    with explained(f"pushing to {plan.repository}"):
        if not plan.exists:
            api.create_repo(plan.repository, private=True, exist_ok=True)
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            CommitOperationAdd(name, content) for name, content in plan.added.items()
        ]
        operations += [CommitOperationDelete(name) for name in plan.deleted]
        commit = api.create_commit(
            plan.repository, operations, commit_message="Update the speech endpoint"
        )
    return commit.oid


def _beneath(folder: Path, part: str) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix()
        for path in (folder / part).rglob("*")
        if path.is_file() and not LEFT_OUT & set(path.parts)
    )


def _requirements(content: bytes, diarize: Diarization) -> bytes:
    if diarize != "none":
        return content
    lines = content.splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(DIARIZATION_REQUIREMENT))


def _is_same(entry: RepoFile, content: bytes | Path) -> bool:
    data = content if isinstance(content, bytes) else content.read_bytes()
    if len(data) != entry.size:
        return False
    if entry.lfs is not None:
        return hashlib.sha256(data).hexdigest() == entry.lfs.sha256
    # As git names a blob.
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest() == entry.blob_id
