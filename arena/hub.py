"""A private dataset on the Hugging Face Hub that keeps backups: nothing in it is ever replaced or deleted from here."""

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, BinaryIO

from arena.errors import BackupError

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_NOT_THERE = 404
_SNAPSHOT = re.compile(r"snapshots/(arena-(\d{8}T\d{6}Z)(?:-\d+)?)-(\d+)votes(?:-(\d+)changes)?\.db")
_AT_ONCE = 8
"""So many files are downloaded side by side."""


@dataclass(frozen=True, slots=True)
class RemoteSnapshot:
    """A snapshot in the dataset, as its path tells."""

    path: str
    name: str
    """Of the backup that was uploaded, without its ending."""
    stamp: str
    changes: int
    """See `arena.backup.Extent`; of an older snapshot its votes."""


class Hub:
    """One dataset. Every call blocks."""

    def __init__(self, repo: str, token: str | None, endpoint: str | None = None) -> None:
        """`repo` is `owner/name`; without a token the Hub's own ways to find one are used."""
        self.repo = repo
        self._token = token
        self._endpoint = endpoint

    def snapshots(self) -> Sequence[RemoteSnapshot]:
        """What can be restored, the best last: the most changes, and of these the newest.

        Raises:
            BackupError: the dataset cannot be read.

        """
        found = [
            RemoteSnapshot(match[0], match[1], match[2], int(match[4] or match[3]))
            for match in map(_SNAPSHOT.fullmatch, self._files("snapshots"))
            if match
        ]
        return sorted(found, key=lambda snapshot: (snapshot.changes, snapshot.stamp))

    def keep_snapshot(self, file: Path, votes: int, changes: int) -> str:
        """Upload a checked snapshot under a name of its own; returns its path once the Hub lists it whole.

        Raises:
            BackupError: it could not be uploaded.

        """
        path = f"snapshots/{file.stem}-{votes}votes-{changes}changes.db"
        with file.open("rb") as content:
            self._commit({path: content}, f"Snapshot with {votes} votes")
        size = self._size_of(path)
        if size != file.stat().st_size:
            raise BackupError(f"{self.repo} keeps {size} of {file.stat().st_size} bytes of {path}.")
        return path

    def keep_votes(self, files: Sequence[Path]) -> None:
        """Upload vote objects in one commit, into a folder for each day: the Hub takes 10,000 files in one.

        Raises:
            BackupError: they could not be uploaded.

        """
        paths = {f"votes/{file.name[:8]}/{file.name}": BytesIO(file.read_bytes()) for file in files}
        self._commit(paths, f"{len(files)} votes")

    def fetch(self, path: str, target: Path) -> None:
        """Download one file to `target`, which appears only when it is whole.

        Raises:
            BackupError: it could not be downloaded.

        """
        with TemporaryDirectory(dir=target.parent) as folder, _told(self.repo):
            loaded = self._api().hf_hub_download(self.repo, path, repo_type="dataset", local_dir=folder)
            Path(loaded).replace(target)

    def vote_names(self) -> Sequence[str]:
        """The names of the vote objects in the dataset."""
        return [Path(path).name for path in self._files("votes")]

    def fetch_votes(self, folder: Path, wanted: Callable[[str], bool]) -> int:
        """Download the vote objects with a wanted name that are not in `folder`; returns how many came.

        Raises:
            BackupError: the dataset cannot be read, or `folder` not written. What had come stays, and need not come
                again.

        """
        named = {Path(path).name: path for path in self._files("votes")}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            missing = [name for name in named if wanted(name) and not (folder / name).exists()]
            with ThreadPoolExecutor(_AT_ONCE) as loaders:
                for _ in loaders.map(lambda name: self.fetch(named[name], folder / name), missing):
                    pass
        except OSError as error:
            raise BackupError(f"{folder} cannot be written to ({error.strerror}).") from error
        return len(missing)

    def _files(self, folder: str) -> Sequence[str]:
        from huggingface_hub.errors import EntryNotFoundError, RepositoryNotFoundError  # noqa: PLC0415 - as `_api`
        from huggingface_hub.hf_api import RepoFile  # noqa: PLC0415 - as `_api`

        with _told(self.repo):
            try:
                tree = self._api().list_repo_tree(self.repo, folder, recursive=True, repo_type="dataset")
                return [entry.path for entry in tree if isinstance(entry, RepoFile)]
            except EntryNotFoundError:
                return []
            except RepositoryNotFoundError as error:
                if error.response.status_code == _NOT_THERE:
                    return []  # it is made with the first backup
                raise

    def _size_of(self, path: str) -> int | None:
        with _told(self.repo):
            infos = self._api().get_paths_info(self.repo, [path], repo_type="dataset")
        return getattr(infos[0], "size", None) if infos else None

    def _commit(self, files: "Mapping[str, BinaryIO]", message: str) -> None:
        from huggingface_hub import CommitOperationAdd  # noqa: PLC0415 - as `_api`

        # What is read like a file goes by plain HTTP: no second runtime in this process for a few megabytes a day.
        operations = [CommitOperationAdd(path, content) for path, content in files.items()]
        with _told(self.repo):
            api = self._api()
            api.create_repo(self.repo, repo_type="dataset", private=True, exist_ok=True)
            api.create_commit(self.repo, operations, commit_message=message, repo_type="dataset")

    def _api(self) -> "HfApi":
        # 0.3 s that an arena without a dataset need not pay
        from huggingface_hub import HfApi  # noqa: PLC0415
        from huggingface_hub.utils.tqdm import disable_progress_bars  # noqa: PLC0415

        disable_progress_bars()  # they would be drawn into the arena's log
        logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it warns of each small upload
        return HfApi(token=self._token, endpoint=self._endpoint)


@contextmanager
def _told(repo: str) -> Iterator[None]:
    """Whatever goes wrong with the Hub, in one sentence without a token or an address."""
    from httpx2 import HTTPError  # noqa: PLC0415 - as `Hub._api`
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError  # noqa: PLC0415 - as `Hub._api`

    try:
        yield
    except HFValidationError as error:
        raise BackupError(f"ARENA_BACKUP_REPO must be owner/name, not {repo!r}.") from error
    except HfHubHTTPError as error:
        status = error.response.status_code
        hint = "; check HF_TOKEN and that it may write" if status in (401, 403, 404) else ""
        raise BackupError(f"The dataset {repo} answered {status}{hint}.") from error
    except (HTTPError, OSError, RuntimeError, ValueError) as error:  # an upload that fails is a RuntimeError
        raise BackupError(f"The dataset {repo} could not be reached ({type(error).__name__}).") from error
