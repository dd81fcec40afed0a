"""Task groups: ``hardware.py`` runs tasks while a Space is on other hardware, ``copies.py`` on a copy."""
