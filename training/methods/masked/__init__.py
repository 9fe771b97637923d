"""Methods with masks over shared parameters: HAT, B-CL, CTR."""
