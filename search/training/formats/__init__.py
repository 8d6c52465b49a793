"""The formats of an exported network: one module per format, and what they share."""
