"""Agreement as an exhaustive check by Spin: `simplex.pml` is the model, `README.md` the results."""
