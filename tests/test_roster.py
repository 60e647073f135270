"""The roster: what ships, what FastChat's file means, and what each mistake is told."""

from pathlib import Path

import pytest

from arena.config import SHIPPED_DIR
from arena.errors import ConfigError
from arena.roster import Roster, load_roster


def read(tmp_path: Path, content: str, name: str = "models.yaml", **environment: str) -> Roster:
    """Load a roster file with this content."""
    path = tmp_path / name
    path.write_text(content)
    return load_roster(path, environment)


def test_the_four_coaia_models_ship() -> None:
    roster = load_roster(SHIPPED_DIR / "models.yaml", {"OPENAI_API_KEY": "sk-local"})

    openai = roster.models["coaia-openai-latest"]
    assert openai.model_name == "ft:gpt-4.1-nano-2025-04-14:jgwill:coaia250709n1b3:BrWkpMDi"
    assert (openai.api_base, openai.platform) == ("https://api.openai.com/v1", "openai")
    assert openai.api_key is not None
    assert openai.api_key.get_secret_value() == "sk-local"
    resource = "projects/242650888445/locations/us-central1/models/"
    assert {entry.id: entry.model_name for entry in roster if entry.api_type == "vertex"} == {
        "coaia-gemini-latest": f"{resource}7008782995188350976",
        "coaia-gemini-b": f"{resource}6886059905342504960",
        "coaia-gemini-manual": f"{resource}6815304133071863808",
    }
    assert all(e.project_id == "top-moment-465521-v9" for e in roster if e.api_type == "vertex")
    assert all(e.location == "us-central1" for e in roster if e.api_type == "vertex")
    assert all(e.display_name != e.id and e.family and e.version is None and e.parent is None for e in roster)


def test_the_commented_examples_become_valid_entries() -> None:
    shipped = (SHIPPED_DIR / "models.yaml").read_text()
    commented = shipped[shipped.index("# qwen3-8b:") :]
    entries = [line[2:] for line in commented.splitlines() if line.startswith(("#   ", "# ")) and "  serve" not in line]

    path = Path("examples.yaml")
    path.write_text("\n".join(line for line in entries if line.startswith("  ") or line.endswith(":")))
    roster = load_roster(path, {})

    assert list(roster.models) == ["qwen3-8b", "llama3.2-ollama", "tuned-gguf"]
    assert all(entry.platform == "compatible" and not entry.missing_variables for entry in roster)


def test_an_unset_variable_makes_only_its_model_unready(tmp_path: Path) -> None:
    roster = read(
        tmp_path,
        "one: {api_type: openai, api_key: '${ONE_KEY}'}\ntwo: {api_type: openai, api_key: '${TWO_KEY}'}",
        TWO_KEY="k2",
    )

    assert roster.models["one"].missing_variables == ("ONE_KEY",)
    assert roster.models["two"].missing_variables == ()


def test_openais_key_is_the_default_for_openai_and_never_for_another_server(tmp_path: Path) -> None:
    roster = read(
        tmp_path,
        "gpt: {api_type: openai}\nlocal: {api_type: openai, api_base: 'http://127.0.0.1:8000/v1'}",
        OPENAI_API_KEY="sk-own",
    )

    assert roster.models["gpt"].api_key is not None
    assert roster.models["gpt"].api_key.get_secret_value() == "sk-own"
    assert roster.models["local"].api_key is None


def test_a_missing_openai_key_is_named(tmp_path: Path) -> None:
    assert read(tmp_path, "gpt: {api_type: openai}").models["gpt"].missing_variables == ("OPENAI_API_KEY",)


def test_a_vertex_entry_without_project_takes_googles_variables(tmp_path: Path) -> None:
    roster = read(tmp_path, "gemini-2.5-flash: {api_type: vertex}", GCP_PROJECT_ID="p1", GCP_LOCATION="europe-west4")

    entry = roster.models["gemini-2.5-flash"]
    assert (entry.model_name, entry.project_id, entry.location) == ("gemini-2.5-flash", "p1", "europe-west4")


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("m: {api_type: openai, modelname: x}", ["m: modelname: unknown key", "accepted are api_type, model_name"]),
        ("m: {api_type: azure}", ["m: api_type:", "'openai', 'vertex' or 'demo'", "not 'azure'"]),
        ("m: {model_name: x}", ["m: api_type: is missing", "openai, vertex and demo"]),
        ("m: {api_type: openai, weight: heavy}", ["m: weight:", "valid number", "not 'heavy'"]),
        ("m: {api_type: openai, weight: -1}", ["m: weight:", "greater than or equal to 0"]),
        ("m: {api_type: openai, recommended_config: {temperature: 9}}", ["m: recommended_config.temperature:"]),
        ("m: {api_type: openai}\nm: {api_type: openai}", ["'m' is there twice"]),
        ("m: {api_type: openai, weight: 1, weight: 2}", ["'weight' is there twice"]),
        ("m: {api_type: openai, parent: ghost}", ["m: parent: 'ghost' is no other model"]),
        ("m: {api_type: openai, parent: m}", ["m: parent: 'm' is no other model"]),
        ("m: {api_type: openai, excludes: [ghost]}", ["m: excludes: 'ghost' is no other model"]),
        ("m: {api_type: vertex, model_name: projects/p/models/1}", ["m: model_name: must be projects/PROJECT/"]),
        ("m: openai", ["m: must be a mapping"]),
        ("- m", ["must be a mapping from a model's id"]),
        ("m: {api_type: openai", ["not valid YAML"]),
    ],
)
def test_a_mistake_is_told_with_file_entry_key_and_what_is_accepted(
    tmp_path: Path, content: str, told: list[str]
) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, content)

    assert str(tmp_path / "models.yaml") in str(caught.value)
    for part in told:
        assert part in str(caught.value)


def test_every_wrong_entry_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "a: {api_type: x}\nb: {api_type: openai, wieght: 1}")

    assert len(str(caught.value).splitlines()) == 2


def test_a_key_is_never_shown_in_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, "m: {api_type: openai, weight: '${OPENAI_API_KEY}', api_key: [sk-1]}", OPENAI_API_KEY="sk-2")

    assert "sk-1" not in str(caught.value)
    assert "sk-2" not in str(caught.value)


def test_a_key_is_never_in_the_entrys_text(tmp_path: Path) -> None:
    roster = read(tmp_path, "m: {api_type: openai, api_key: sk-secret}")

    assert "sk-secret" not in repr(roster)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no such file; copy models\.yaml"):
        load_roster(tmp_path / "nowhere.yaml", {})


def test_fastchats_file_is_read_as_it_is(tmp_path: Path) -> None:
    roster = read(
        tmp_path,
        """{
\t"gpt-x": {"model_name": "gpt-x-0101", "api_type": "openai", "api_base": null, "api_key": "sk-1",
\t          "anony_only": false, "recommended_config": {"temperature": 0.7, "top_p": 1.0}, "text-arena": true},
\t"gemini-x": {"api_type": "vertex", "custom_system_prompt": true,},
\t"local-x": {"model_name": "acme/x", "api_type": "openai", "api_base": "http://127.0.0.1:8000/v1", "api_key": ""},
\t"claude-x": {"model_name": "claude-x", "api_type": "anthropic_message"},
\t"eyes-x": {"model_name": "eyes", "api_type": "openai", "text-arena": false, "vision-arena": true},
}""",
        name="api_endpoints.json",
        GCP_PROJECT_ID="p1",
    )

    assert list(roster.models) == ["gpt-x", "gemini-x", "local-x"]
    assert roster.models["gpt-x"].api_base == "https://api.openai.com/v1"
    assert roster.models["gemini-x"].model_name == "gemini-x"
    assert roster.models["gemini-x"].project_id == "p1"
    warned = "\n".join(roster.warnings)
    assert "gemini-x: its custom system prompt is not in the file" in warned
    assert "claude-x: skipped, the arena has no api_type 'anthropic_message'" in warned
    assert "eyes-x: skipped" in warned


def test_a_number_as_version_is_text(tmp_path: Path) -> None:
    assert read(tmp_path, "m: {api_type: openai, version: 3}").models["m"].version == "3"
