"""Battles that the operator keeps out of every training file, reversibly; their votes count as before."""

from collections.abc import Mapping, Sequence

from sqlalchemy import select

from arena.database import Database
from arena.errors import ConfigError
from arena.tables import Battle, WithheldBattle, now


def withhold(database: Database, battle_id: str, reason: str) -> None:
    """Keep a battle out of training files from now on; a later reason takes the place of an earlier one.

    Raises:
        ConfigError: there is no such battle, or no reason is given.

    """
    reason = " ".join(reason.split())
    if not reason:
        raise ConfigError("Say why the battle is withheld; the reason is kept with it.")
    with database.write() as session:
        if session.get(Battle, battle_id) is None:
            raise ConfigError(f"There is no battle {battle_id!r}.")
        session.merge(WithheldBattle(battle_id=battle_id, reason=reason, withheld_at=now()))


def release(database: Database, battle_id: str) -> None:
    """Let a withheld battle into training files again.

    Raises:
        ConfigError: the battle is not withheld.

    """
    with database.write() as session:
        withheld = session.get(WithheldBattle, battle_id)
        if withheld is None:
            raise ConfigError(f"The battle {battle_id!r} is not withheld.")
        session.delete(withheld)


def reasons_of(database: Database, battles: Sequence[str]) -> Mapping[str, str]:
    """Why those of `battles` that are withheld are so, by id."""
    wanted = select(WithheldBattle.battle_id, WithheldBattle.reason).where(WithheldBattle.battle_id.in_(battles))
    with database.read() as session:
        return {battle: reason for battle, reason in session.execute(wanted)}
