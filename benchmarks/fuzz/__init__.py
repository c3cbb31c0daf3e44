"""The commands that read what others have written, on inputs that are damaged at random."""
