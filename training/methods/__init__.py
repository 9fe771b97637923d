"""The methods of the paper that are compared: one file each."""
