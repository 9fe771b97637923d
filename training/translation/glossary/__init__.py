"""Translation by a glossary."""
