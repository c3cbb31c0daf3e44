"""The file by which a folder of simulated scans is told from a release of patients' scans."""

SETTINGS_FILE = "phantom.json"
