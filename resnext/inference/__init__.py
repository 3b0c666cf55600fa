"""A trained network in use: opened by one door, evaluated, asked, explained."""
