"""Inference beyond nnU-Net's own."""

# Where ``strokesynth synthesize --feature`` puts the feature, beside the pseudo-DWI.
FEATURE_FOLDER = "feature"
# Where ``strokesynth synthesize --uncertainty`` puts its maps.
UNCERTAINTY_FOLDER = "uncertainty"
