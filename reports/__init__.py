"""How a result is told: tables, figures, HTML and PDF from results alone. No torch."""
