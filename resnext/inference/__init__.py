"""A trained network in use: `Model.open`, evaluate, predict, explain."""
