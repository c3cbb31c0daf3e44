"""Outlining scans that have a DWI and no label, by networks that read the DWI."""
