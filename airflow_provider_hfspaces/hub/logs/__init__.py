"""The logs of Spaces: their events, how far a reader has got, and streams that many readers share."""
