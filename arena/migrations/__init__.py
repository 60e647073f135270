"""Schema history, applied by `arena.database.Database.migrate`."""
