"""What the documentation takes from results and from the code, so that no figure or option is copied by hand."""
