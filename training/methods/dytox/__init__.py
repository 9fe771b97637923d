"""DyTox: task attention."""
