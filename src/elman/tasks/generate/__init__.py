"""Language models of text and music."""
