"""Whether images are what their files say: pure functions on arrays that return findings.

A finding says what was found, what was expected and what to do. It refuses where the image cannot
be right, and warns where it is doubtful. ``convert``, ``predict``, ``maps`` and ``synthesize`` all
ask these functions, for images that are given and for those that are computed.
"""
