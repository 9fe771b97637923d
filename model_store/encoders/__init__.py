"""Base encoders: where they come from, the packaged one, and what is accepted as one."""
