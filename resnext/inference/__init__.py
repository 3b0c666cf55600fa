"""Using a trained network: `Model.open`, evaluate, predict, explain."""
