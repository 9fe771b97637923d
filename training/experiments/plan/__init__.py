"""What a plan asks for, and the data prepared for it."""
