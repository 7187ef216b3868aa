"""What runs unattended: the whole path as one command."""
