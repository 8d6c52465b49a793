"""How good is the front of a search after N trials? Samplers are replayed on tables of trained networks."""
