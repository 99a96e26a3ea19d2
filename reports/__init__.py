"""How a result is presented: tables, figures, HTML and PDF from results alone. No torch."""
