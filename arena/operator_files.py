"""The files that an operator writes: where they lie, how they are read, and `${NAME}`s of the environment in them."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from arena.config import SHIPPED_DIR
from arena.errors import ConfigError

_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def data_file(data_dir: Path, name: str) -> Path:
    """The file of that name in the data folder, else the copy shipped beside `app.py`."""
    own = data_dir / name
    return own if own.exists() else SHIPPED_DIR / "data" / name


def read_yaml(path: Path) -> Any:  # noqa: ANN401 - whoever reads it validates it
    """What a YAML file holds.

    Raises:
        ConfigError: it cannot be read.

    """
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: cannot be read as YAML: {' '.join(str(error).split())}.") from None


def read_mapping(path: Path, what: str, if_missing: str) -> dict[str, Any]:
    """A YAML or JSON file that maps names to entries, none of them twice; an empty file has none.

    Raises:
        ConfigError: it cannot be read, or is no mapping (`what` says of what); `if_missing` is what to do without it.

    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such file; {if_missing}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read as UTF-8 text: {error}.") from None
    try:
        # Outside a string a tab means nothing in JSON but stops YAML, so JSON files lose theirs.
        plain = text.replace("\t", " ") if path.suffix == ".json" else text
        loaded = yaml.load(plain, _UniqueKeyLoader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{path}: not valid YAML: {' '.join(str(error).split())}.") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise ConfigError(f"{path}: must be a mapping {what}, not a {type(loaded).__name__}.")
    return loaded


class _UniqueKeyLoader(yaml.SafeLoader):
    """A safe loader that refuses a key written twice, which YAML would silently let win."""


def _unique_mapping(loader: _UniqueKeyLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node)
        if key in seen:
            raise yaml.constructor.ConstructorError(
                None, None, f"{key!r} is there twice; give each model and each key once", key_node.start_mark
            )
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_UniqueKeyLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _unique_mapping)


def repeated(ids: Iterable[str]) -> str | None:
    """The first id that is there twice."""
    seen: set[str] = set()
    for entry in ids:
        if entry in seen:
            return entry
        seen.add(entry)
    return None


def expand_variables(value: object, environment: Mapping[str, str], missing: list[str]) -> object:
    """`value` with each `${NAME}` replaced; names nobody set are added to `missing` and become empty."""

    def lookup(match: re.Match[str]) -> str:
        name = match.group(1)
        if name not in environment:
            missing.append(name)
        return environment.get(name, "")

    if isinstance(value, str):
        return _VARIABLE.sub(lookup, value)
    if isinstance(value, dict):
        return {key: expand_variables(item, environment, missing) for key, item in value.items()}
    if isinstance(value, list):
        return [expand_variables(item, environment, missing) for item in value]
    return value


def mentions_variable(value: object) -> bool:
    """Whether some of it comes from the environment, which errors must not repeat."""
    return isinstance(value, str) and _VARIABLE.search(value) is not None
