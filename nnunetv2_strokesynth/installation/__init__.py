"""What is installed and set up here, for bug reports."""
