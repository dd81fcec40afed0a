"""Work on many Spaces at once, within the Hub's rate limit."""
