"""Which providers a roster needs, and whether a model's credentials are there; no SDK is imported here."""

from pathlib import Path

from arena.config import Settings, read_environment
from arena.errors import ConfigError
from arena.moderation import Moderation
from arena.providers.base import Deadlines, Gathering, Provider
from arena.roster import OPENAI_BASE_URL, ModelEntry, Roster

_GCLOUD_FILE = "application_default_credentials.json"
_MACHINE_MAKER = Path("/sys/class/dmi/id/product_name")


def build_providers(settings: Settings, roster: Roster, gathering: Gathering | None = None) -> dict[str, Provider]:
    """One provider for each `api_type` in the roster; SDKs are imported when a model is first prepared or asked."""
    api_types = dict.fromkeys(entry.api_type for entry in roster)
    return {api_type: build_provider(api_type, settings, gathering) for api_type in api_types}


def build_moderation(settings: Settings) -> Moderation:
    """The check of prompts that the settings ask for.

    Raises:
        ConfigError: it needs a key that is not set.

    """
    if settings.moderation == "off":
        return Moderation()
    from arena.providers.openai_moderation import OpenAIModeration

    environment = read_environment()
    if "OPENAI_API_KEY" not in environment:
        raise ConfigError("ARENA_MODERATION=openai needs OPENAI_API_KEY: set it, or turn the moderation off.")
    server = environment.get("OPENAI_BASE_URL", OPENAI_BASE_URL)
    classifier = OpenAIModeration(server, environment["OPENAI_API_KEY"], settings.moderation_s)
    return Moderation(classifier, refuse_unchecked=settings.moderation_unavailable == "refuse")


def deadlines_of(settings: Settings) -> Deadlines:
    """The operator's deadlines for one attempt."""
    return Deadlines(
        first_token_s=settings.first_token_s,
        silence_s=settings.silence_s,
        answer_s=settings.answer_s,
        max_characters=settings.max_answer_characters,
    )


def credentials_configured(entry: ModelEntry, settings: Settings) -> bool:
    """Whether `entry` has what it needs to be asked, as far as this machine tells without the network."""
    if entry.missing_variables:
        return False
    if entry.api_type == "openai":
        return entry.platform == "compatible" or entry.api_key is not None
    return entry.api_type == "demo" or _google_credentials_found(settings)


def build_provider(api_type: str, settings: Settings, gathering: Gathering | None = None) -> Provider:
    """The provider of one `api_type`."""
    if api_type == "openai":
        from arena.providers.openai import OpenAIProvider

        return OpenAIProvider(deadlines_of(settings), gathering)
    if api_type == "vertex":
        from arena.providers.google_credentials import CredentialSource, GoogleCredentials
        from arena.providers.vertex import VertexProvider

        source = CredentialSource(_given_json(settings), read_environment().get("GOOGLE_APPLICATION_CREDENTIALS"))
        return VertexProvider(GoogleCredentials(source), deadlines_of(settings), gathering)
    from arena.providers.demo import DemoProvider

    return DemoProvider()


def _given_json(settings: Settings) -> str | None:
    given = settings.google_credentials_json
    return given.get_secret_value() if given else None


def _google_credentials_found(settings: Settings) -> bool:
    """In the settings, in the file that Google's variable names, in gcloud's folder, or on a machine of Google's."""
    environment = read_environment()
    if _given_json(settings) or "GOOGLE_APPLICATION_CREDENTIALS" in environment:
        return True
    gcloud = Path(environment.get("CLOUDSDK_CONFIG") or Path.home() / ".config" / "gcloud")
    if (gcloud / _GCLOUD_FILE).is_file() or "K_SERVICE" in environment:
        return True
    return _MACHINE_MAKER.is_file() and _MACHINE_MAKER.read_text(encoding="utf-8").startswith("Google")
