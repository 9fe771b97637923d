"""The main job from end to end, on real parts: `python -m scripts.demo`."""
