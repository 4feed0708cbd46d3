"""The front door: `dla_jax.run` and `dla_jax.load`, and what `launch.py` shares with them."""
