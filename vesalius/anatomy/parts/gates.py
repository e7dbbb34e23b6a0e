"""Gates: what is made of the mixed values."""
