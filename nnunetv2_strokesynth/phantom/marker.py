"""The file by which a folder of simulated scans is told from a release of patients' scans."""

SETTINGS_FILE = "phantom.json"
# ``origin`` in ``dataset.json`` of a data set that was converted from such a folder.
PHANTOM_ORIGIN = "digital phantom"
