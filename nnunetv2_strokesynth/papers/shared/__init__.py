"""What two papers or more use: stages of a training, networks, terms of a loss, distortions."""
