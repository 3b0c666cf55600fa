"""Pictures and pages in one file, for people: plots, contact sheets, HTML."""
