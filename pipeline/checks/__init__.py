"""What a dataset version must hold before readers get it."""
