"""`python -m resnet_space`, where the console script is not on the path."""

from resnet_space.cli import main

main()
