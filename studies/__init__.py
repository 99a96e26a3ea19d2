"""Studies that ship with mgaudit: one TOML file each."""
