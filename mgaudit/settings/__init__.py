"""What to audit: settings as objects; text is parsed and rendered here and nowhere else."""
