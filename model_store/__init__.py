"""What a model version is: network, pair encoding, files, versions."""
