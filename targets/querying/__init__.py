"""How trained targets are queried."""
