"""Pushing an exported folder to the Hugging Face Hub; a dry run says what would go out, and touches no network.

The token is the caller's HF_TOKEN: it is handed to the library's client and to nothing else.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sedi_engine.errors import InputError, StudioError
from sedi_engine.exports.folder import digests

REPO = re.compile(r"[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}")
TOKEN_VARIABLE = "HF_TOKEN"  # noqa: S105 - a variable's name


def plan(folder: Path, repo: str, kind: str, private: bool) -> dict[str, Any]:
    """What a push would send: every file with its size in bytes and sha256. Raises InputError for a wrong name."""
    if not REPO.fullmatch(repo) or ".." in repo or "--" in repo:
        raise InputError(f"{repo!r} is no name of a repository.", "Write OWNER/NAME, with letters, digits, - _ and .")
    return {"repo": repo, "kind": kind, "private": private, "files": digests(folder)}


def push(folder: Path, repo: str, kind: str, private: bool) -> str:
    """Create the repository if it is not there, and upload the folder; its address. Raises StudioError in words."""
    plan(folder, repo, kind, private)
    token = os.environ.get(TOKEN_VARIABLE)
    if not token:
        raise InputError(f"{TOKEN_VARIABLE} is not set.", "Set it to a token that may write, then push again.")
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=token)
    try:
        address = api.create_repo(repo, repo_type=kind, private=private, exist_ok=True)
        api.upload_folder(folder_path=folder, repo_id=repo, repo_type=kind, commit_message="Upload from SeDi Studio")
    except HfHubHTTPError as error:
        status = error.response.status_code if error.response is not None else "no status"
        raise StudioError(
            f"The Hub did not take {repo}: it answered {status}.",
            "Check the token's rights and the name, then push again.",
        ) from None
    except (OSError, httpx2.HTTPError) as error:
        raise StudioError(
            f"The Hub cannot be reached: {type(error).__name__}.", "Check the network, then push again."
        ) from None
    return str(address)
