"""How hypothesis searches here: the same cases in every run, and no clock in the verdict."""

from hypothesis import settings

settings.register_profile("house", deadline=None, derandomize=True, max_examples=200)
settings.load_profile("house")
