"""Random changes to training images: their description, and how they are drawn and computed, batch by batch."""
