"""Work on many Spaces at once, within the Hub's quota."""
